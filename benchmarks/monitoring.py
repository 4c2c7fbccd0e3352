"""What watching costs, how often it cries wolf, and how soon it reports a change.

    python -m benchmarks.monitoring [--windows 1000]

Pictures and answers of the service come from known distributions; the reference has 400 images of the same ones. A
change is planted in what comes in, and the first two windows are looked at.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from benchmarks._table import held, lines
from src.monitor.drift import compare
from src.monitor.features import Observation, answered, features
from src.monitor.observer import Observer
from src.monitor.profile import Profile, profile_of
from src.monitor.settings import MonitorConfig
from src.monitor.windows import windows_of

CLASSES = 10
HOUR = 3600.0
SIZES = ((320, 320), (640, 480), (1920, 1080))


@dataclass(frozen=True)
class Service:
    """What comes in; the defaults are the reference."""

    brighter: float = 0.0  # grey levels; their standard deviation over images is 25
    sharpness: float = 1.0  # factor
    kept: float = 1.0  # share of the detections of the first class, which is in 40 % of the images, that are left

    def images(self, rng: np.random.Generator, count: int, every: float = 10.0) -> list[Observation]:
        """Observations every so many seconds."""
        return [self._image(rng, i * every) for i in range(count)]

    def _image(self, rng: np.random.Generator, when: float) -> Observation:
        shares = np.r_[0.4 * self.kept, np.full(CLASSES - 1, 0.2)]
        classes = np.flatnonzero(rng.random(CLASSES) < shares)
        found = SimpleNamespace(scores=rng.beta(6, 3, len(classes)), classes=classes)
        picture = {
            "brightness": rng.normal(110 + self.brighter, 25),
            "contrast": rng.gamma(20, 2.5),
            "sharpness": rng.gamma(4, 100) * self.sharpness,
            "pixels": float(rng.choice([640 * 480, 1280 * 720])),
            "aspect": 4 / 3,
        }
        return Observation(when, {**picture, **answered(found)}, tuple(map(int, classes)))


def reference(rng: np.random.Generator, images: int = 400) -> Profile:
    """The profile of the reference."""
    return profile_of(Service().images(rng, images), [str(c) for c in range(CLASSES)])


def false_alarms(windows: int, per_day: float, images: int) -> tuple[int, float]:
    """Findings in windows of an hour without a change, and how many were promised; a reference serves 20 windows."""
    settings = MonitorConfig(window_s=HOUR, window_images=images)
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(windows // 20):
        own = reference(rng)
        quiet = Service().images(rng, 20 * images, HOUR / images)
        alarms += sum(len(compare(own, w, per_day).drifted) for w in windows_of(quiet, settings))
    return alarms, per_day * windows / 24


PLANTED: dict[str, tuple[Service, str]] = {
    "brightness + 0.5 SD": (Service(brighter=12.5), "brightness"),
    "brightness + 1 SD": (Service(brighter=25), "brightness"),
    "sharpness × 0.8": (Service(sharpness=0.8), "sharpness"),
    "sharpness × 0.6": (Service(sharpness=0.6), "sharpness"),
    "half of a class of 40 % gone": (Service(kept=0.5), "class:0"),
    "all of it gone": (Service(kept=0.0), "class:0"),
}


def reported(service: Service, what: str, images: int, per_day: float = 1.0, repeats: int = 50) -> float:
    """How often a change is reported within two windows of ten minutes."""
    settings, hits = MonitorConfig(window_s=600, window_images=images), 0
    for i in range(repeats):
        rng = np.random.default_rng((1, i))
        own = reference(rng)
        windows = windows_of(service.images(rng, 2 * images, 600 / images), settings)
        hits += any(f.what == what for w in windows for f in compare(own, w, per_day).drifted)
    return hits / repeats


def timed(work: Callable[[], object], repeats: int = 200) -> float:
    """Processor time of a call, ms."""
    work()
    begun = time.process_time()
    for _ in range(repeats):
        work()
    return 1000 * (time.process_time() - begun) / repeats


def costs() -> Iterator[tuple[str, float]]:
    """Processor time by what is done, ms."""
    rng = np.random.default_rng(0)
    found = SimpleNamespace(scores=rng.random(5), classes=np.arange(5))
    own = reference(rng, 1000)
    with tempfile.TemporaryDirectory() as folder:
        observer = Observer(own, Path(folder), replace(MonitorConfig(), window_images=500, window_s=1e9))
        for width, height in SIZES:
            picture = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
            yield f"numbers of a picture of {width} × {height}", timed(lambda p=picture: features(p))  # type: ignore[misc]
            whole = timed(lambda p=picture: observer.observe(p, found))  # type: ignore[misc]
            yield f"all that an answer of {width} × {height} costs, written down", whole
        observer.close()
    window = next(windows_of(Service().images(rng, 501), MonitorConfig(window_images=500)))
    yield "a window of 500 images against 1,000, nothing changed", timed(lambda: compare(own, window, 1.0), 5)


def main(words: Sequence[str] | None = None) -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=1000)
    args = parser.parse_args(words)
    print(lines([("processor time, ms", ""), *costs()]), flush=True)
    rows: list[Sequence[object]] = [("windows without a change", "images", "promised a day", "promised", "raised", "")]
    for per_day, images in ((1.0, 50), (1.0, 200), (24.0, 50)):
        alarms, promised = false_alarms(args.windows, per_day, images)
        rows.append((args.windows, images, f"{per_day:g}", f"{promised:.1f}", alarms, held(alarms <= promised)))
    print("\n" + lines(rows), flush=True)
    sizes = (50, 100, 200)
    rows = [("reported within two windows of", *(f"{n} images" for n in sizes))]
    for name, (service, what) in PLANTED.items():
        rows.append((name, *(f"{reported(service, what, n):.0%}" for n in sizes)))
    print("\n" + lines(rows), flush=True)


if __name__ == "__main__":
    main()
