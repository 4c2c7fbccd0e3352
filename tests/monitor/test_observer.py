"""What a service calls: pictures in, windows out, alarms told, nothing lost when the disk is full."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from src.common.errors import UserError
from src.monitor.drift import Comparison
from src.monitor.features import Seen, features, observation
from src.monitor.log import read_log
from src.monitor.observer import Observer
from src.monitor.profile import profile_of
from src.monitor.settings import MonitorConfig
from tests.monitor.worlds import drifted

SETTINGS = MonitorConfig(window_s=10, window_images=50)


def picture(rng: np.random.Generator, *, blur: float = 0.0, brighter: int = 0) -> np.ndarray:
    """A scene of rectangles on a gradient."""
    scene = np.tile(np.linspace(60, 140, 320, dtype=np.uint8)[None, :, None], (240, 1, 3))
    for _ in range(rng.integers(10, 25)):
        x, y, w, h = rng.integers(0, 220), rng.integers(0, 160), rng.integers(5, 80), rng.integers(5, 60)
        cv2.rectangle(scene, (int(x), int(y)), (int(x + w), int(y + h)), [int(v) for v in rng.integers(40, 200, 3)], -1)
    scene = np.clip(scene.astype(np.int16) + rng.normal(0, 3, scene.shape) + brighter, 0, 255).astype(np.uint8)
    return cv2.GaussianBlur(scene, (0, 0), blur) if blur else scene


def found(rng: np.random.Generator, share: float = 0.6) -> SimpleNamespace:
    classes = np.array([c for c in (0, 1) if rng.random() < (share, 0.5)[c]], np.int64)
    return SimpleNamespace(scores=rng.uniform(0.3, 0.9, len(classes)), classes=classes)


@pytest.fixture(scope="module")
def reference() -> object:
    rng = np.random.default_rng(0)
    return profile_of([observation(picture(rng), found(rng), Seen(0.0)) for _ in range(200)], ["a", "b"])


@pytest.mark.parametrize(
    ("what", "changes", "share"),
    [("sharpness", {"blur": 1.5}, 0.6), ("brightness", {"brighter": 30}, 0.6), ("class:0", {}, 0.0)],
)
def test_planted_drift_in_pictures_is_told_within_two_windows(
    what: str, changes: dict[str, float], share: float, reference: object
) -> None:
    rng = np.random.default_rng(1)
    told: list[Comparison] = []
    observer = Observer(reference, None, SETTINGS, told.append)  # type: ignore[arg-type]
    for i in range(101):
        observer.observe(picture(rng, **changes), found(rng, share), when=i / 5)  # type: ignore[arg-type]
    assert observer.windows == 2
    assert what in {name for c in told for name in drifted(c.drifted)}
    assert observer.gauges()[f"drifted:{what}"] == 1


def test_pictures_like_the_reference_raise_no_alarm(reference: object) -> None:
    rng = np.random.default_rng(2)
    observer = Observer(reference, None, SETTINGS)  # type: ignore[arg-type]
    for i in range(301):
        observer.observe(features(picture(rng)), found(rng), when=i / 5)
    counts = observer.counts()
    assert (counts["windows"], counts["alarms"], counts["images"]) == (6, 0, 301)


def test_several_threads_lose_nothing(tmp_path: Path, reference: object) -> None:
    rng = np.random.default_rng(0)
    seen, answer = features(picture(rng)), found(rng)
    observer = Observer(reference, tmp_path, SETTINGS)  # type: ignore[arg-type]
    work = [threading.Thread(target=lambda: [observer.observe(seen, answer) for _ in range(200)]) for _ in range(8)]
    for one in work:
        one.start()
    for one in work:
        one.join()
    observer.close()
    assert observer.images == 1600
    assert (len(read_log(tmp_path)[0]), read_log(tmp_path)[1]) == (1600, 0)


def test_a_full_disk_stops_the_log_and_not_the_service(
    tmp_path: Path, reference: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    observer = Observer(reference, tmp_path, MonitorConfig(window_s=10, pictures=True))  # type: ignore[arg-type]

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("src.monitor.log.Log._open", full)
    monkeypatch.setattr("src.monitor.log.write_bytes", full)
    for i in range(60):
        observer.observe(picture(rng), found(rng), when=float(i))
    assert observer.windows == 1
    assert observer.counts()["unwritten"] == 120


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("false_alarms_per_day", 0),
        ("window_s", -1),
        ("window_images", 0),
        ("log_mb", float("inf")),
        ("most_images", 5),
        ("file_mb", 300),
    ],
)
def test_settings_that_make_no_sense(key: str, value: float) -> None:
    with pytest.raises(UserError, match=f"monitor.{key}"):
        Observer(None, None, MonitorConfig(**{key: value}))  # type: ignore[arg-type]
