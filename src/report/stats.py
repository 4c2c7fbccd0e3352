"""Small-sample statistics: mean, spread and Student's t intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

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


def t_quantile(probability: float, freedom: float) -> float:
    """Quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))


def t_two_sided(t: float, freedom: float) -> float:
    """Two-sided p value of a t statistic."""
    from scipy.special import stdtr

    return float(2 * stdtr(freedom, -abs(t)))


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
