"""How fast, and which of two is faster: estimates and comparisons from one value for each round. Pure functions.

A round measures every candidate once, each in a fresh process. Processes of one file differ by a few per cent for as
long as they live (where memory landed, which clock the core found), so calls within one are no repeats: rounds are.
Student's t over the logarithms of the rounds' values holds what it promises from three rounds on, where resampling
blocks does not (docs/benchmark.md has the measured coverage). Records and reports use it: nothing heavy is imported.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from src.common.statistics import CONFIDENCE, satterthwaite, spread, t_quantile

Verdict = Literal["faster", "slower", "tie", "no decision"]
TIE_MARGIN = 0.05  # ratios this close to 1 don't matter to anyone, and are within what this kind of machine repeats


@dataclass(frozen=True)
class Estimate:
    """What the typical process takes: geometric mean over rounds, with its 95 % interval; 0 and infinity below two."""

    value: float
    low: float
    high: float

    @property
    def precision(self) -> float:
        """Half of the interval's width on the logarithmic scale: about the relative half width."""
        return math.log(self.high / self.low) / 2 if self.low > 0 else math.inf


@dataclass(frozen=True)
class Comparison:
    """How much longer A takes than B: a ratio with its 95 % interval over rounds."""

    ratio: float
    low: float
    high: float
    verdict: Verdict  # of A against B

    def surely_slower(self, margin: float = TIE_MARGIN) -> bool:
        """Whether A takes longer by more than a tie wherever in the interval the truth lies.

        To refuse a candidate takes more than the verdict "slower", which a file that is 3 % slower gets in every tenth
        comparison where processes differ by 4 %.
        """
        return self.low > 1 + margin


def estimate(rounds: Sequence[float]) -> Estimate:
    """Geometric mean of the rounds' values and Student's 95 % interval of it, on logarithms.

    Raises:
        ValueError: there is none, or one is not above 0.
    """
    logs = spread(_logs(rounds))
    if logs.n < 2:
        return Estimate(math.exp(logs.mean), 0.0, math.inf)
    return Estimate(math.exp(logs.mean), math.exp(logs.low), math.exp(logs.high))


def compare_rounds(
    a: Sequence[float],
    b: Sequence[float],
    *,
    margin: float = TIE_MARGIN,
    paired: bool | None = None,
    level: float = CONFIDENCE,
) -> Comparison:
    """Compare two candidates by one value for each round, such as their p90.

    In rounds that both were measured in, what the machine did touches both sides and cancels: each round gives one
    ratio. Otherwise the two sides are independent (Welch's t). The verdict is "faster" or "slower" only when the whole
    interval lies beyond 1 and the ratio beyond the margin; "tie" when the whole interval lies within the margin;
    otherwise "no decision": more rounds are needed.

    Args:
        a: values of A in order of rounds, above 0.
        b: those of B, in the same unit.
        margin: ratios within 1 ± margin count as equal.
        paired: whether round i of A and round i of B were the same one; None = where there are equally many.
        level: confidence of the interval; above 0.95 where several comparisons have to hold together.

    Raises:
        ValueError: a side has no round, a value is not above 0, or pairs are asked for and the numbers differ.
    """
    x, y = _logs(a), _logs(b)
    if paired is None:
        paired = len(x) == len(y)
    if paired and len(x) != len(y):
        raise ValueError("pairs need the same number of rounds on both sides")
    centre, half = _paired(x, y, level) if paired else _welch(x, y, level)
    ratio, low, high = (_exp(v) for v in (centre, centre - half, centre + half))
    return Comparison(ratio, low, high, verdict_of(ratio, low, high, margin))


def _logs(values: Sequence[float]) -> list[float]:
    if not values or not all(0 < v < math.inf for v in values):
        raise ValueError("every side needs at least one round, and durations above 0")
    return [math.log(v) for v in values]


def _paired(x: Sequence[float], y: Sequence[float], level: float) -> tuple[float, float]:
    """Mean difference and half of its interval."""
    found = spread([a - b for a, b in zip(x, y)])
    if found.n < 2:
        return found.mean, math.inf
    return found.mean, t_quantile(0.5 + level / 2, found.n - 1) * found.sd / math.sqrt(found.n)


def _welch(x: Sequence[float], y: Sequence[float], level: float) -> tuple[float, float]:
    """Difference of means and half of its interval; a side of a single round has no spread, so nothing is known."""
    one, other = spread(x), spread(y)
    centre = one.mean - other.mean
    if min(one.n, other.n) < 2:
        return centre, math.inf
    variance, freedom = satterthwaite([(s.sd**2 / s.n, s.n - 1) for s in (one, other)])
    return centre, t_quantile(0.5 + level / 2, freedom) * math.sqrt(variance)


def _exp(value: float) -> float:
    return math.inf if value > 700 else math.exp(value)


def verdict_of(ratio: float, low: float, high: float, margin: float = TIE_MARGIN) -> Verdict:
    """What a ratio with its 95 % interval says of A against B."""
    if low >= 1 - margin and high <= 1 + margin:
        return "tie"
    if high < 1 and ratio < 1 - margin:
        return "faster"
    if low > 1 and ratio > 1 + margin:
        return "slower"
    return "no decision"
