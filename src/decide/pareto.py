"""Candidates that none dominates, where better means established to be better."""

from __future__ import annotations

from collections.abc import Sequence

from src.common.statistics import CONFIDENCE
from src.decide.candidates import Candidate
from src.decide.speed import cost, slower
from src.decide.uncertainty import gap


def pareto(found: Sequence[Candidate], statistic: str) -> list[Candidate]:
    """Candidates that none dominates.

    One dominates another when it is at least as good in score and in latency, and in one of them established to be
    better. What merely can't be told apart dominates nothing: poor evidence takes no candidate off the front.
    """
    known = [c for c in found if c.measured and c.verified]
    return [c for c in known if not any(_dominates(o, c, statistic) for o in known if o is not c)]


def _dominates(a: Candidate, b: Candidate, statistic: str) -> bool:
    if a.score.mean < b.score.mean or cost(a, statistic) > cost(b, statistic):
        return False
    low, _ = gap(a.model, b.model).bounds(0.5 + CONFIDENCE / 2)
    return low > 0 or slower(b, a, statistic)
