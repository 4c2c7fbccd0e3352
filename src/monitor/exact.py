"""Exact two-sample tests: Smirnov's for values, Fisher's for shares, and the binomial tail. Pure functions.

A promise of few false alarms needs p values that are right far out in the tail (a level of 1e-5 and below) and for
small windows, where asymptotic ones are not.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

from src.common.statistics import incomplete_beta

Floats = NDArray[np.float64]
TINY = 1e-7  # relative: tables as likely as the one observed, but for rounding


def smirnov(reference: Floats, window: Floats, level: float = 1.0) -> tuple[float, float]:
    """Smirnov's statistic D of two samples [n], [m] and its exact two-sided p value given the pooled values.

    Every order of the pooled sample is a path through a lattice, and all are equally likely when nothing has changed.
    The p value is the share of paths that leave the band |i / n - j / m| < D; it comes from a recursion over
    anti-diagonals, forwards in the probability of having left, so that small ones keep their digits. Among equal
    values a path is only looked at where they end, which makes it exact with ties (Schröer and Trenkler 1995).

    Args:
        reference: values [n], without NaN.
        window: values [m].
        level: above it a lower bound of the p value is enough; it costs a hundredth of the time.
    """
    small, large = sorted((reference, window), key=len)
    n, m = len(small), len(large)
    if not n:
        return 0.0, 1.0
    pooled = np.concatenate([small, large])
    order = np.argsort(pooled, kind="stable")
    ends = np.r_[np.diff(pooled[order]) != 0, True]
    taken = np.cumsum(order < n)
    gaps = np.abs(taken * m - (np.arange(1, n + m + 1) - taken) * n)
    most = int(gaps[ends].max())
    if not most:
        return 0.0, 1.0
    least = _left_at(n, m, most, ends)
    return most / (n * m), least if least > level else _left(n, m, most, ends)


def _left_at(n: int, m: int, most: int, ends: NDArray[np.bool_]) -> float:
    """Share of the paths that lie outside the band at one place, the one nearest to the middle: fewer than leave it."""
    places = np.flatnonzero(ends) + 1
    s = int(places[np.argmin(np.abs(places - (n + m) / 2))])
    f = _log_factorials(1 << (n + m).bit_length())
    i = np.arange(max(0, s - m), min(n, s) + 1)
    outside = i[np.abs(i * m - (s - i) * n) >= most]
    rest = s - outside
    ways = f[n] - f[outside] - f[n - outside] + f[m] - f[rest] - f[m - rest]
    return float(min(np.exp(ways - (f[n + m] - f[s] - f[n + m - s])).sum(), 1.0))


def _left(n: int, m: int, most: int, ends: NDArray[np.bool_]) -> float:
    """Share of the paths from (0, 0) to (n, m) that reach |i m - j n| >= `most` where `ends` says to look."""
    i = np.arange(n + 1, dtype=np.float64)
    left, before = np.zeros(n + 1), np.zeros(n + 1)
    for s in range(1, n + m + 1):
        low, high = max(0, s - m), min(n, s)
        np.multiply(i[1:], left[:-1], out=before[1:])
        left *= s - i
        left += before
        left /= s
        if ends[s - 1]:  # outside: i (n + m) <= s n - most, or >= s n + most
            left[: max((s * n - most) // (n + m) + 1, 0)] = 1.0
            left[-((-s * n - most) // (n + m)) :] = 1.0
        left[:low] = 0.0
        left[high + 1 :] = 0.0
    return float(min(left[n], 1.0))


@functools.lru_cache(maxsize=8)
def _log_factorials(most: int) -> Floats:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, most + 1)))])


def fisher(hits: int, images: int, other_hits: int, other_images: int) -> float:
    """Fisher's exact two-sided p value: `hits` of `images` against `other_hits` of `other_images`."""
    total, both = images + other_images, hits + other_hits
    if not images or not other_images or both in (0, total):
        return 1.0
    f = _log_factorials(1 << max(total, 1).bit_length())
    k = np.arange(max(0, both - other_images), min(both, images) + 1)
    rest = both - k
    ways = f[images] - f[k] - f[images - k] + f[other_images] - f[rest] - f[other_images - rest]
    chances = ways - (f[total] - f[both] - f[total - both])
    seen = chances[hits - k[0]]
    return float(min(1.0, np.exp(chances[chances <= seen + TINY]).sum()))


def binomial_upper(hits: int, tries: int, share: float) -> float:
    """P(X >= `hits`) of a binomial distribution."""
    if hits <= 0:
        return 1.0
    if hits > tries or math.isnan(share):
        return 0.0 if hits > tries else 1.0
    return incomplete_beta(share, hits, tries - hits + 1)
