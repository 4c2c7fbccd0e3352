"""What is noted of one image and its detections: plain numbers, from which the picture can't be made again.

What is looked at has a fixed small size, so that it costs the same (0.1 ms) for every picture: brightness and contrast
come from pixels on an even grid, sharpness from an even grid of small patches, where a slight blur still shows.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

GRID, PATCH = 4, 32  # patches down and across, and the side of each, px
SIDE = GRID * PATCH
LATEST = 2.0**33  # seconds since 1970: a time after the year 2242 is none
PICTURE = ("brightness", "contrast", "sharpness", "pixels", "aspect")
ANSWER = ("detections", "confidence_mean", "confidence_max")
FEATURES = PICTURE + ANSWER
UNITS = {
    "brightness": "mean grey, 0 to 255",
    "contrast": "standard deviation of grey",
    "sharpness": "variance of the Laplacian",
    "pixels": "width × height, px",
    "aspect": "width / height",
    "detections": "per image",
    "confidence_mean": "mean over an image's detections",
    "confidence_max": "highest of an image",
}


class Detected(Protocol):
    """Detections of one image: `scores` [n] and `classes` [n]."""

    @property
    def scores(self) -> NDArray[Any]: ...
    @property
    def classes(self) -> NDArray[Any]: ...


@dataclass(frozen=True)
class Observation:
    """One image that was answered."""

    when: float  # seconds since 1970
    values: dict[str, float]  # by name of `FEATURES`; NaN where there is none, as the confidence of no detection
    classes: tuple[int, ...] = ()  # that were detected in it
    latency_ms: float = math.nan
    source: str = ""  # camera, site or client; "" when not known
    key: str = ""  # what the image is known by
    picture: str = ""  # file in the log's folder of pictures; "" when it was not kept

    def as_json(self) -> dict[str, Any]:
        """As plain data; what is not known is null."""
        values = {name: plain(value) for name, value in self.values.items()}
        more = {"source": self.source, "key": self.key, "picture": self.picture}
        own = {"when": round(self.when, 3), "latency_ms": plain(self.latency_ms), "values": values}
        return {**own, "classes": list(self.classes), **{k: v for k, v in more.items() if v}}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Observation:
        """From plain data.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: it is none.
        """
        if not 0 <= (when := finite(raw["when"])) < LATEST:
            raise ValueError(f"{when} is no time of a log")
        return cls(
            when=when,
            values={str(name): number(value) for name, value in raw["values"].items()},
            classes=tuple(int(c) for c in raw["classes"]),
            latency_ms=number(raw["latency_ms"]),
            **{name: str(raw.get(name, "")) for name in ("source", "key", "picture")},
        )


def plain(value: float) -> float | None:
    """A number for JSON, with six digits; None where it is not finite."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def number(value: Any) -> float:
    """A number of JSON; NaN for null.

    Raises:
        ValueError, TypeError: it is none.
    """
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    try:
        return float(value)
    except OverflowError:
        raise ValueError("a number has too many digits") from None


def finite(value: Any) -> float:
    """A finite number of JSON.

    Raises:
        ValueError, TypeError: it is none.
    """
    if not math.isfinite(found := number(value)):
        raise ValueError(f"{value!r} is no finite number")
    return found


def features(picture: NDArray[np.uint8], *, bgr: bool = False) -> dict[str, float]:
    """The names of `PICTURE` of an image uint8 [h, w, 3], RGB unless it is said to be blue, green, red."""
    import cv2

    height, width = picture.shape[:2]
    sampled = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    mean, deviation = cv2.meanStdDev(cv2.cvtColor(sampled, cv2.COLOR_BGR2GRAY if bgr else cv2.COLOR_RGB2GRAY))
    numbers = (mean[0, 0], deviation[0, 0], _sharpness(_patches(picture)), height * width, width / height)
    return dict(zip(PICTURE, map(float, numbers), strict=True))


def _patches(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Patches of a picture's green channel from an even grid, side by side: uint8 [SIDE, SIDE]."""
    import cv2

    height, width = picture.shape[:2]
    if min(height, width) < SIDE:
        small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
        return np.ascontiguousarray(np.asarray(small, np.uint8)[:, :, 1])
    joined = np.empty((SIDE, SIDE), np.uint8)
    tops, lefts = ([(2 * k + 1) * side // (2 * GRID) - PATCH // 2 for k in range(GRID)] for side in (height, width))
    for down, y in zip(range(0, SIDE, PATCH), tops, strict=True):
        for across, x in zip(range(0, SIDE, PATCH), lefts, strict=True):
            joined[down : down + PATCH, across : across + PATCH] = picture[y : y + PATCH, x : x + PATCH, 1]
    return joined


@functools.cache
def _inside() -> NDArray[np.uint8]:
    """Where no seam between patches is near: a mask uint8 [SIDE, SIDE]."""
    mask = np.zeros((GRID, PATCH, GRID, PATCH), np.uint8)
    mask[:, 1:-1, :, 1:-1] = 1
    return mask.reshape(SIDE, SIDE)


def _sharpness(joined: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian inside the patches."""
    import cv2

    return float(cv2.meanStdDev(cv2.Laplacian(joined, cv2.CV_16S), mask=_inside())[1][0, 0]) ** 2


def answered(found: Detected) -> dict[str, float]:
    """The names of `ANSWER` of detections; confidences are NaN where there is no detection."""
    scores = np.asarray(found.scores, np.float64)
    confidences = (float(scores.mean()), float(scores.max())) if len(scores) else (math.nan, math.nan)
    return dict(zip(ANSWER, (float(len(scores)), *confidences), strict=True))


@dataclass(frozen=True)
class Seen:
    """Where and when an image came in."""

    when: float
    source: str = ""
    key: str = ""
    latency_ms: float = field(default=math.nan)


def observation(
    picture: NDArray[np.uint8] | Mapping[str, float], found: Detected, seen: Seen, kept: str = ""
) -> Observation:
    """What is noted of an image.

    Args:
        picture: RGB uint8 [h, w, 3], or what `features` said of it.
        found: its detections at the threshold in use.
        seen: where and when.
        kept: file of the picture, where it was kept.
    """
    own = dict(picture) if isinstance(picture, Mapping) else features(picture)
    classes = tuple(int(c) for c in np.unique(np.asarray(found.classes, np.int64)))
    values = {**own, **answered(found)}
    return Observation(seen.when, values, classes, seen.latency_ms, seen.source, seen.key, kept)
