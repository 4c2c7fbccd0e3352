"""Which of two candidates is faster: compared over the rounds that both were measured in, never by two points."""

from __future__ import annotations

import math
from collections.abc import Sequence

from src.common.speed import TIE_MARGIN, Comparison, compare_rounds, verdict_of
from src.common.statistics import CONFIDENCE, normal_quantile
from src.decide.candidates import Candidate

LEANING = 0.8  # level of an interval of which one end in ten lies on the wrong side of 1 where two are as fast


def cost(candidate: Candidate, statistic: str) -> float:
    """Latency in ms, infinite when not measured."""
    return candidate.latency.get(statistic, math.inf)


def rounds_of(candidate: Candidate, statistic: str) -> list[float]:
    """The statistic of every round, ms; empty when the rounds are not known."""
    measured = candidate.best.measurement
    return list(measured.rounds.get(statistic, [])) if measured else []


def compare_speed(a: Candidate, b: Candidate, statistic: str, level: float = CONFIDENCE) -> Comparison | None:
    """Latency of `a` over that of `b` with its interval at `level`; None when one of them was not measured."""
    if not (math.isfinite(cost(a, statistic)) and math.isfinite(cost(b, statistic))):
        return None
    first, second = rounds_of(a, statistic), rounds_of(b, statistic)
    if first and second:
        return compare_rounds(first, second, level=level)
    return _by_intervals(a, b, statistic, level)


def _by_intervals(a: Candidate, b: Candidate, statistic: str, level: float) -> Comparison:
    """Records without rounds: the ends of the two intervals, which are at 95 %, bound the ratio."""
    low_a, high_a = a.latency_interval.get(statistic, (cost(a, statistic),) * 2)
    low_b, high_b = b.latency_interval.get(statistic, (cost(b, statistic),) * 2)
    ratio, low, high = cost(a, statistic) / cost(b, statistic), low_a / high_b, high_a / low_b
    share = normal_quantile(0.5 + level / 2) / normal_quantile(0.5 + CONFIDENCE / 2)
    low, high = ratio * (low / ratio) ** share, ratio * (high / ratio) ** share
    return Comparison(ratio, low, high, verdict_of(ratio, low, high))


def slower(a: Candidate, b: Candidate, statistic: str) -> bool:
    """Whether `a` is established to be slower than `b`; what was not measured is slower than what was."""
    found = compare_speed(a, b, statistic)
    if found is None:
        return cost(a, statistic) > cost(b, statistic)
    return found.verdict == "slower"


def dearer(a: Candidate, b: Candidate, statistic: str) -> bool:
    """Whether the rounds lean to `a` taking longer than `b` by more than a tie, established or not.

    What is not established to be slower is not as fast: rounds that scatter would make a model of ten times the latency
    the equal of another, the sooner the less they say. Nor is what was measured to be slower by chance: of two as fast,
    one in ten at most is called so, however much the rounds scatter. A single round leaves nothing but its own word.
    """
    found = compare_speed(a, b, statistic, LEANING)
    if found is None:
        return cost(a, statistic) > cost(b, statistic)
    return found.ratio > 1 + TIE_MARGIN and (found.low > 1 or math.isinf(found.high))


def fastest(found: Sequence[Candidate], statistic: str) -> Candidate:
    """The lowest latency; of equals the more accurate one."""
    return min(found, key=lambda c: (cost(c, statistic), -c.score.mean))
