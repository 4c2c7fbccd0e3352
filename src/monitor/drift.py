"""A window of observations held against the reference, with a promised number of false alarms.

While nothing changes, images of a window and of the reference are exchangeable, so every test below rejects with at
most its level (latency: while the promise holds). A window's level is its share of `false_alarms_per_day`, divided by
the number of tests: the expected number of false alarms is kept however the tests depend on each other, with any number
of windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.monitor.exact import binomial_upper, fisher, smirnov
from src.monitor.features import FEATURES, Observation
from src.monitor.profile import Profile, Promise

DAY = 86_400.0
MOST_LEVEL = 0.05  # of one test, however long its window lasted
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True)
class Window:
    """Consecutive observations; of many, a random sample."""

    begin: float  # seconds since 1970
    end: float
    observed: tuple[Observation, ...]
    images: int  # seen in all

    @property
    def duration(self) -> float:
        """In seconds."""
        return self.end - self.begin


@dataclass(frozen=True)
class Finding:
    """One test of one window."""

    what: str  # name of a feature, `class:N` or `latency_ms`
    size: float  # Smirnov's D, or the difference of shares
    p: float  # of a test that doesn't report, a lower bound may do
    reference: float  # mean, or share
    window: float
    drifted: bool


@dataclass(frozen=True)
class Comparison:
    """A window with all its tests."""

    begin: float
    end: float
    images: int
    level: float
    findings: tuple[Finding, ...]

    @property
    def drifted(self) -> list[Finding]:
        """What the window reports, the least likely by chance first."""
        return sorted((f for f in self.findings if f.drifted), key=lambda f: (f.p, f.what))


def count_of_tests(profile: Profile) -> int:
    """How many tests a window goes through."""
    return len(FEATURES) + len(profile.class_names) + (promised_share(profile.promise) is not None)


def level_of(duration: float, per_day: float, tests: int) -> float:
    """Level of each test of a window of `duration` seconds."""
    return min(per_day * max(duration, 0.0) / DAY / tests, MOST_LEVEL)


def compare(profile: Profile, window: Window, per_day: float) -> Comparison:
    """Hold a window against the reference.

    Args:
        profile: the reference.
        window: of observations.
        per_day: false alarms that all tests of a day may raise together, expected while nothing changes.
    """
    level = level_of(window.duration, per_day, count_of_tests(profile))
    found = [_feature(profile, window, name, level) for name in FEATURES]
    found += [_class(profile, window, number, level) for number in range(len(profile.class_names))]
    late = _latency(profile.promise, window, level)
    return Comparison(window.begin, window.end, window.images, level, (*found, *([late] if late else [])))


def values_of(observed: Sequence[Observation], feature: str) -> NDArray[np.float64]:
    """The known values of a feature."""
    values = np.array([o.values.get(feature, np.nan) for o in observed], np.float64)
    return values[np.isfinite(values)]


def mean(values: NDArray[np.float64]) -> float:
    """NaN of nothing. Not the median: of two sizes of picture in equal numbers, it jumps from one to the other."""
    return float(np.mean(values)) if len(values) else float("nan")


def _feature(profile: Profile, window: Window, name: str, level: float) -> Finding:
    own, seen = profile.of(name), values_of(window.observed, name)
    size, p = smirnov(own, seen, level)
    return Finding(name, size, p, mean(own), mean(seen), p <= level)


def _class(profile: Profile, window: Window, number: int, level: float) -> Finding:
    hits, other = profile.with_class(number), sum(number in o.classes for o in window.observed)
    images, others = len(profile.classes), len(window.observed)
    p = fisher(hits, images, other, others)
    shares = hits / max(images, 1), other / max(others, 1)
    return Finding(f"class:{number}", shares[1] - shares[0], p, *shares, p <= level)


def promised_share(promise: Promise) -> float | None:
    """Share of answers that may be slower than the promised latency; None where it can't be held against them.

    That takes a quantile, and one of whole answers: the network alone is faster than what a service observes.
    """
    quantile = QUANTILES.get(promise.statistic)
    comparable = promise.scope == "end_to_end" and np.isfinite(promise.latency_ms)
    return 1 - quantile if quantile and comparable else None


def _latency(promise: Promise, window: Window, level: float) -> Finding | None:
    """Whether more calls than promised are slower than the promised quantile."""
    share = promised_share(promise)
    if share is None:
        return None
    known = [o.latency_ms for o in window.observed if np.isfinite(o.latency_ms)]
    slow = sum(v > promise.latency_ms for v in known)
    p = binomial_upper(slow, len(known), share)
    seen = slow / max(len(known), 1)
    return Finding("latency_ms", seen - share, p, share, seen, p <= level)
