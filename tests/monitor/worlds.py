"""Made-up observations: a service whose pictures and answers follow known distributions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from src.monitor.features import Observation
from src.monitor.profile import Profile, Promise, profile_of

NAMES = ["cup", "plate", "fork", "knife"]
SHARES = (0.5, 0.4, 0.3, 0.1)  # of images in which each class is detected


@dataclass(frozen=True)
class World:
    """What comes in; the defaults are the reference."""

    brighter: float = 0.0
    blur: float = 1.0  # factor on sharpness
    shares: tuple[float, ...] = SHARES
    slower: float = 1.0
    rate: float = 1.0  # images a second

    def images(self, rng: np.random.Generator, count: int, begin: float = 0.0) -> list[Observation]:
        """Observations one after the other."""
        return [self._image(rng, begin + i / self.rate, i) for i in range(count)]

    def _image(self, rng: np.random.Generator, when: float, i: int) -> Observation:
        classes = tuple(c for c, share in enumerate(self.shares) if rng.random() < share)
        scores = rng.beta(6, 3, rng.poisson(1.2) + len(classes))
        values = {
            "brightness": float(np.clip(rng.normal(110 + self.brighter, 25), 0, 255)),
            "contrast": float(rng.gamma(20, 2.5)),
            "sharpness": float(rng.gamma(4, 100) * self.blur),
            "pixels": float(rng.choice([640 * 480, 1280 * 720])),
            "aspect": 4 / 3,
            "detections": float(len(scores)),
            "confidence_mean": float(scores.mean()) if len(scores) else math.nan,
            "confidence_max": float(scores.max()) if len(scores) else math.nan,
        }
        latency = float(10 * self.slower * rng.lognormal(0, 0.2))
        return Observation(when, values, classes, latency, source=("north", "south")[i % 2], key=f"image {i}")


PROMISED = Promise(0.6, 0.3, 10 * math.exp(0.2 * 1.2816), "p90", "end_to_end")


def profile(rng: np.random.Generator, images: int = 400, promise: Promise = PROMISED) -> Profile:
    """The profile of the reference world."""
    return profile_of(World().images(rng, images), NAMES, promise)


def drifted(found: Sequence[object]) -> list[str]:
    """Names of findings."""
    return [str(f.what) for f in found]  # type: ignore[attr-defined]
