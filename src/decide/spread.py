"""How much the score of a configuration varies from seed to seed, when each has only a few seeds.

Two seeds say almost nothing about one configuration's spread, and one spread for all says something false as soon as
one configuration is unstable. So each variance is drawn towards what the others show, by as much as they agree
(moderated variances: Smyth, "Linear models and empirical Bayes methods", Stat. Appl. Genet. Mol. Biol. 3, 2004), but
only upwards: seeds that were seen to differ are never believed to differ less, which keeps tests of equal models at
their level where configurations are not equally stable (`benchmarks.decision_quality` has the figures). A configuration
whose spread stands out is called unstable, keeps its own variance and gives nothing to the others'.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from src.common.statistics import f_upper

Source = Literal["seeds", "prior", "none"]

UNSTABLE = 0.05  # level of the test for instability over all configurations, by Bonferroni
PRIOR_FREEDOM = 1000.0  # a spread that the user states counts as known


@dataclass(frozen=True)
class SeedSpread:
    """The spread over seeds of one configuration's score."""

    n: int  # seeds
    own_sd: float  # of its own seeds; NaN below two
    sd: float  # moderated; NaN when nothing establishes it
    freedom: float  # degrees of freedom of `sd`; 0 when nothing establishes it
    unstable: bool  # it varies clearly more than the others
    source: Source

    @property
    def known(self) -> bool:
        """Whether anything is known of the spread."""
        return self.source != "none"

    @property
    def variance_of_mean(self) -> float:
        """Variance of the mean over the seeds; infinite when nothing is known."""
        return self.sd**2 / self.n if self.known and self.n else math.inf


def moderated(groups: Sequence[Sequence[float]], stated_sd: float | None = None) -> list[SeedSpread]:
    """The spread of every group of scores, each a configuration's, one score a seed.

    Args:
        groups: scores by configuration; a group may have one score.
        stated_sd: a spread known from elsewhere (`decision.seed_sd`), used where no group has two seeds.
    """
    own = [_variance(g) for g in groups]
    unstable = _unstable(own)
    pool = [(v, d) for (v, d), odd in zip(own, unstable, strict=True) if d > 0 and not odd]
    # Once for all: it follows from every group, and a thousand of them would make the work quadratic.
    common = (*prior_of(pool), float(sum(d for _, d in pool))) if pool else None
    return [_spread(len(g), v, d, odd, common, stated_sd) for g, (v, d), odd in zip(groups, own, unstable, strict=True)]


def _variance(values: Sequence[float]) -> tuple[float, int]:
    """Sample variance and its degrees of freedom; (NaN, 0) below two values."""
    if len(values) < 2:
        return math.nan, 0
    mean = math.fsum(values) / len(values)
    return math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1), len(values) - 1


def _unstable(own: Sequence[tuple[float, int]]) -> list[bool]:
    """Which variances are larger than the rest's by more than chance, one after the other from the largest."""
    odd = [False] * len(own)
    order = sorted((i for i, (_, d) in enumerate(own) if d > 0), key=lambda i: -own[i][0])
    for place, i in enumerate(order):
        rest = [own[j] for j in order[place + 1 :]]
        freedom = sum(d for _, d in rest)
        pooled = math.fsum(v * d for v, d in rest) / freedom if freedom else 0.0
        if freedom < 2 or pooled <= 0 or f_upper(own[i][0] / pooled, own[i][1], freedom) >= UNSTABLE / len(order):
            break
        odd[i] = True
    return odd


def _spread(
    n: int,
    variance: float,
    freedom: int,
    odd: bool,
    common: tuple[float, float, float] | None,
    stated_sd: float | None,
) -> SeedSpread:
    """One group's spread; `common` is the variance that all have in common, its weight, and all degrees of freedom."""
    own_sd = math.sqrt(variance) if freedom else math.nan
    if odd:
        return SeedSpread(n, own_sd, own_sd, float(freedom), True, "seeds")
    if common is None:
        if stated_sd is None:
            return SeedSpread(n, own_sd, math.nan, 0.0, False, "none")
        return SeedSpread(n, own_sd, stated_sd, PRIOR_FREEDOM, False, "prior")
    prior, weight, total = common
    own = variance if freedom else 0.0
    drawn = prior if math.isinf(weight) else (weight * prior + freedom * own) / (weight + freedom)
    return SeedSpread(n, own_sd, math.sqrt(max(own, drawn)), min(weight + freedom, total), False, "seeds")


def prior_of(pool: Sequence[tuple[float, int]]) -> tuple[float, float]:
    """The variance that configurations have in common, and how many degrees of freedom it is worth (Smyth 2004, 6.2).

    Args:
        pool: variances with their degrees of freedom, each above 0.

    Returns:
        The common variance and its weight; infinite when the variances differ by no more than chance lets them, in
        which case the common variance is their pooled one.
    """
    total = sum(d for _, d in pool)
    pooled = math.fsum(v * d for v, d in pool) / total
    usable = [(v, d) for v, d in pool if v > 1e-12 * max(pooled, 1e-300)]
    if len(usable) < 3:
        return pooled, math.inf
    logs = [math.log(v) - _digamma(d / 2) + math.log(d / 2) for v, d in usable]
    centre = math.fsum(logs) / len(logs)
    excess = math.fsum((x - centre) ** 2 for x in logs) / (len(logs) - 1)
    excess -= math.fsum(_trigamma(d / 2) for _, d in usable) / len(usable)
    if excess <= 0:
        return pooled, math.inf
    weight = 2 * _inverse_trigamma(excess)
    return math.exp(centre + _digamma(weight / 2) - math.log(weight / 2)), weight


def _digamma(x: float) -> float:
    """Derivative of log gamma, by recurrence and its asymptotic series (DLMF 5.11.2); exact to 1e-12."""
    shift = 0.0
    while x < 8:
        shift -= 1 / x
        x += 1
    y = 1 / (x * x)
    return shift + math.log(x) - 0.5 / x - y * (1 / 12 - y * (1 / 120 - y * (1 / 252 - y * (1 / 240 - y / 132))))


def _trigamma(x: float) -> float:
    """Second derivative of log gamma, likewise."""
    shift = 0.0
    while x < 8:
        shift += 1 / (x * x)
        x += 1
    y = 1 / (x * x)
    return shift + 1 / x + y / 2 + y / x * (1 / 6 - y * (1 / 30 - y * (1 / 42 - y * (1 / 30 - y * 5 / 66))))


def _inverse_trigamma(value: float) -> float:
    """x with trigamma(x) = `value`, by bisection on a logarithmic scale."""
    low, high = 1e-8, 1e8
    for _ in range(100):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if _trigamma(middle) > value else (low, middle)
    return math.sqrt(low * high)
