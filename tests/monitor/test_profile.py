"""The profile is kept as it was, and anything else is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from src.common.errors import UserError
from src.monitor.profile import MOST, from_text, load_profile, profile_of, save_profile, to_text
from tests.monitor.worlds import NAMES, World, profile


def test_what_is_saved_is_read(tmp_path: Path) -> None:
    own = profile(np.random.default_rng(0))
    save_profile(tmp_path / "profile.json", own)
    read = load_profile(tmp_path / "profile.json")
    assert read.class_names == NAMES
    assert read.classes == own.classes
    assert read.promise.statistic == "p90"
    assert read.of("brightness") == pytest.approx(own.of("brightness"), rel=1e-5)
    assert len(read.of("confidence_mean")) == sum(v > 0 for v in own.values["detections"])
    assert read.with_class(0) == sum(0 in c for c in own.classes)


def test_of_many_images_a_sample_is_kept() -> None:
    images = World().images(np.random.default_rng(0), MOST + 500)
    own = profile_of(images, NAMES, latency_ms=range(5000))
    assert (len(own.classes), own.images, len(own.latency_ms)) == (MOST, MOST + 500, MOST)
    assert own.values["brightness"] != [o.values["brightness"] for o in images[:MOST]]
    assert to_text(own) == to_text(profile_of(images, NAMES, latency_ms=range(5000)))


def test_keys_of_later_versions_are_left_out() -> None:
    raw = json.loads(to_text(profile(np.random.default_rng(0), 5)))
    assert from_text(json.dumps(raw | {"later": 1, "promise": raw["promise"] | {"later": 1}})).images == 5


@pytest.mark.parametrize(
    "change",
    [
        {"values": {}},
        {"values": None},
        {"classes": []},
        {"classes": [[0]] * 3},
        {"images": None},
        {"latency_ms": ["x"]},
        {"promise": {"accuracy": "good"}},
        {"promise": []},
    ],
)
def test_a_malformed_profile_is_refused(change: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(json.loads(to_text(profile(np.random.default_rng(0), 5))) | change))
    with pytest.raises(UserError, match="malformed"):
        load_profile(path)


@pytest.mark.parametrize("content", ["", "[]", "null", "{", "[" * 100_000])
def test_what_is_no_profile_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "profile.json").write_text(content)
    with pytest.raises(UserError, match="malformed"):
        load_profile(tmp_path / "profile.json")
    with pytest.raises(UserError, match="can't be read"):
        load_profile(tmp_path / "none.json")
