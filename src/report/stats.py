"""Small-sample statistics: mean, spread and Student's t intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Spread:
    """Mean of `n` values; `sd`, `low` and `high` (95 % interval of the mean) are NaN below two values."""

    n: int
    mean: float
    sd: float
    low: float
    high: float

    def scaled(self, factor: float) -> Spread:
        """The spread of the values times `factor` (above 0)."""
        return Spread(self.n, self.mean * factor, self.sd * factor, self.low * factor, self.high * factor)


@lru_cache(maxsize=4096)
def t_quantile(probability: float, freedom: float) -> float:
    """Quantile of Student's t for a probability of at least 0.5, by bisection."""
    tail, low, high = 2 * (1 - probability), 0.0, 1.0
    while t_two_sided(high, freedom) > tail and high < 1e12:
        low, high = high, 2 * high
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if t_two_sided(middle, freedom) > tail else (low, middle)
    return (low + high) / 2


def t_two_sided(t: float, freedom: float) -> float:
    """Two-sided p value of a t statistic: I(v / (v + t²); v / 2, 1 / 2). Loading scipy for it would take a second."""
    return incomplete_beta(freedom / (freedom + t * t), freedom / 2, 0.5)


def incomplete_beta(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta function, by its continued fraction (DLMF 8.17.22)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast on the other side only
        return 1 - incomplete_beta(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    return front / a * _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction by Lentz's method."""
    tiny = 1e-300
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1) or tiny)
    value = d
    for m in range(1, 500):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / (1 + term * d or tiny)
            c = 1 + term / c or tiny
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


def spread(values: Sequence[float]) -> Spread:
    """Mean, sample standard deviation and t interval of the mean."""
    n = len(values)
    if not n:
        return Spread(0, math.nan, math.nan, math.nan, math.nan)
    mean = math.fsum(values) / n
    if n == 1:
        return Spread(1, mean, math.nan, math.nan, math.nan)
    sd = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1))
    half = t_quantile(0.5 + CONFIDENCE / 2, n - 1) * sd / math.sqrt(n)
    return Spread(n, mean, sd, mean - half, mean + half)


def pooled_sd(groups: Sequence[Sequence[float]]) -> tuple[float, int]:
    """Standard deviation within groups and its degrees of freedom; (NaN, 0) when no group has two values."""
    freedom = sum(len(g) - 1 for g in groups if len(g) > 1)
    if not freedom:
        return math.nan, 0
    squares = math.fsum((v - math.fsum(g) / len(g)) ** 2 for g in groups if len(g) > 1 for v in g)
    return math.sqrt(squares / freedom), freedom
