"""Small-sample statistics: quantiles of the normal, t and F distributions, Student's t intervals.

The one place for them: importing scipy for a quantile costs a second, which a report or a start-up would feel. Every
function is held against scipy in the tests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

CONFIDENCE = 0.95
NORMAL = 1e7  # degrees of freedom above which Student's t is the normal distribution to seven digits


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
    """Quantile of Student's t for a probability of at least 0.5.

    By Newton's method on logarithms, in which a heavy tail is nearly a straight line, kept within a bracket.
    """
    if freedom > NORMAL:
        return normal_quantile(probability)
    tail, low, high = 1 - probability, 0.0, math.inf
    t = max(normal_quantile(max(probability, 0.5)), 1e-9)
    for _ in range(200):
        upper = t_two_sided(t, freedom) / 2
        low, high = (t, high) if upper > tail else (low, t)
        following = t * math.exp(math.log(upper / tail) * upper / (t * _t_density(t, freedom))) if upper > 0 else 0.0
        if not low < following < high:
            following = 2 * t if math.isinf(high) else (low + high) / 2
        if abs(following - t) <= 1e-14 * t or (math.isfinite(high) and high - low <= 1e-15 * high):
            return following
        t = following
    return t


def _t_density(t: float, freedom: float) -> float:
    log = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - 0.5 * math.log(freedom * math.pi)
    return math.exp(log - (freedom + 1) / 2 * math.log1p(t * t / freedom))


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


def t_upper(t: float, freedom: float) -> float:
    """P(T > t) of Student's t with `freedom` degrees of freedom (infinite: the normal distribution)."""
    if freedom > NORMAL:
        return normal_upper(t)
    half = t_two_sided(t, freedom) / 2
    return half if t >= 0 else 1 - half


def f_upper(f: float, numerator: float, denominator: float) -> float:
    """P(F > f) of Fisher's F with `numerator` and `denominator` degrees of freedom."""
    if f <= 0:
        return 1.0
    return incomplete_beta(denominator / (denominator + numerator * f), denominator / 2, numerator / 2)


def normal_upper(z: float) -> float:
    """P(Z > z) of the standard normal distribution."""
    return math.erfc(z / math.sqrt(2)) / 2


def normal_quantile(probability: float) -> float:
    """Quantile of the standard normal distribution."""
    return NormalDist().inv_cdf(probability)


def satterthwaite(parts: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """A sum of variances and its degrees of freedom (Satterthwaite 1946).

    Args:
        parts: variances of independent terms, each with its degrees of freedom (infinite where it is known).
    """
    total = math.fsum(variance for variance, _ in parts)
    noise = math.fsum(variance**2 / freedom for variance, freedom in parts if variance > 0)
    return total, (total**2 / noise if noise > 0 else math.inf)


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
