"""How much the score of a configuration varies from seed to seed, when each has only a few seeds.

Two seeds say almost nothing about one configuration's spread, and one spread for all says something false as soon as
one configuration is unstable. So each variance is drawn towards what the configurations have in common, worth `WEIGHT`
degrees of freedom (moderated variances: Smyth, "Linear models and empirical Bayes methods", Stat. Appl. Genet. Mol.
Biol. 3, 2004). What they have in common is a geometric mean, which one unstable configuration moves little; and they
are drawn upwards only: seeds that were seen to differ are never believed to differ less. By simulation
(`benchmarks.decision_quality`) tests of equal models then hold their level, and one unstable configuration doesn't hide
what the others show. With two or three seeds a truly unstable one can still look stable by luck.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from src.common.statistics import f_upper, t_upper

Source = Literal["seeds", "prior", "none"]

UNSTABLE = 0.05  # level of the test for instability over all configurations, by Bonferroni
WEIGHT = 4.0  # degrees of freedom that the common variance is worth
LEAST = 1e-3  # share of the pooled variance below which seeds agree by chance
PRIOR_FREEDOM = 1000.0  # a spread that the user states counts as known


@dataclass(frozen=True)
class SeedSpread:
    """The spread over seeds of one configuration's score."""

    n: int  # seeds
    sd: float  # moderated; NaN when nothing establishes it
    freedom: float  # degrees of freedom of `sd`; 0 when nothing establishes it
    unstable: bool  # it varies clearly more than those that vary less, by an F test
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
    common = common_variance([row for row in own if row[1] > 0])
    total = float(sum(d for _, d in own))
    rows = zip(groups, own, _unstable(groups, own), strict=True)
    return [_spread(len(g), *row, odd, common, total, stated_sd) for g, row, odd in rows]


def _variance(values: Sequence[float]) -> tuple[float, int]:
    """Sample variance and its degrees of freedom; (NaN, 0) below two values."""
    if len(values) < 2:
        return math.nan, 0
    mean = math.fsum(values) / len(values)
    return math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1), len(values) - 1


def _unstable(groups: Sequence[Sequence[float]], own: Sequence[tuple[float, int]]) -> list[bool]:
    """Which groups vary more than the rest by more than chance, one after the other from the largest variance.

    Two tests must agree: an F test of the variance, which holds its level where scores are normal, and Brown and
    Forsythe's of the distances from the median ("Robust tests for the equality of variances", J. Am. Stat. Assoc. 69,
    1974), which one odd seed moves less; the distance of 0 that an odd number of seeds always has is left out (Hines
    and Hines, Biometrics 56, 2000). Two seeds are at equal distances from their median: there the F test is alone.
    """
    odd = [False] * len(own)
    order = sorted((i for i, (_, d) in enumerate(own) if d > 0), key=lambda i: -own[i][0])
    for i in order:
        rest = [j for j in order if j != i and not odd[j]]
        tail = _f_tail(own[i], [own[j] for j in rest])
        if min((len(groups[j]) for j in (i, *rest)), default=0) > 2:
            tail = max(tail, _distance_tail(groups[i], [groups[j] for j in rest]))
        if tail >= UNSTABLE / len(order):
            break
        odd[i] = True
    return odd


def _f_tail(own: tuple[float, int], rest: Sequence[tuple[float, int]]) -> float:
    """How likely chance alone makes a variance so much larger than the pooled one of the rest."""
    freedom = sum(d for _, d in rest)
    pooled = math.fsum(v * d for v, d in rest) / freedom if freedom else 0.0
    return f_upper(own[0] / pooled, own[1], freedom) if freedom >= 2 and pooled > 0 else 1.0


def _distance_tail(own: Sequence[float], rest: Sequence[Sequence[float]]) -> float:
    """How likely chance alone puts one group's distances from its median so far above the others'."""
    mine, others = _distances(own), [d for g in rest for d in _distances(g)]
    if len(others) < 3:
        return 1.0
    centre, other = statistics.fmean(mine), statistics.fmean(others)
    freedom = len(mine) + len(others) - 2
    squares = math.fsum((d - centre) ** 2 for d in mine) + math.fsum((d - other) ** 2 for d in others)
    error = squares / freedom * (1 / len(mine) + 1 / len(others))
    return t_upper((centre - other) / math.sqrt(error), freedom) if error > 0 else 1.0


def _distances(values: Sequence[float]) -> list[float]:
    middle = statistics.median(values)
    found = sorted(abs(v - middle) for v in values)
    return found[1:] if len(found) % 2 else found


def _spread(
    n: int, variance: float, freedom: int, odd: bool, common: float, total: float, stated_sd: float | None
) -> SeedSpread:
    """One group's spread; `common` is the variance that all have in common, `total` all degrees of freedom."""
    if total == 0:
        if stated_sd is None:
            return SeedSpread(n, math.nan, 0.0, False, "none")
        return SeedSpread(n, stated_sd, PRIOR_FREEDOM, False, "prior")
    own = variance if freedom else 0.0
    drawn = (WEIGHT * common + freedom * own) / (WEIGHT + freedom)
    return SeedSpread(n, math.sqrt(max(own, drawn)), min(WEIGHT + freedom, total), odd, "seeds")


def common_variance(own: Sequence[tuple[float, int]]) -> float:
    """The geometric mean of variances, each corrected for what its few degrees of freedom do to a logarithm.

    Args:
        own: variances with their degrees of freedom, each above 0.
    """
    if not own:
        return math.nan
    pooled = math.fsum(v * d for v, d in own) / sum(d for _, d in own)
    if pooled <= 0:
        return 0.0
    logs = [math.log(max(v, LEAST * pooled)) - _digamma(d / 2) + math.log(d / 2) for v, d in own]
    return min(pooled, math.exp(math.fsum(logs) / len(logs)))


def _digamma(x: float) -> float:
    """Derivative of log gamma, by recurrence and its asymptotic series (DLMF 5.11.2); exact to 1e-12."""
    shift = 0.0
    while x < 8:
        shift -= 1 / x
        x += 1
    y = 1 / (x * x)
    return shift + math.log(x) - 0.5 / x - y * (1 / 12 - y * (1 / 120 - y * (1 / 252 - y * (1 / 240 - y / 132))))
