"""Where a ranking turns over between machines: A is faster than B on the one, and slower on the other.

A is said to be faster only where an interval over rounds says so. The intervals of all pairs on all machines hold
together at 95 % (Šidák), so that any statement made from them, and so any claim that a ranking turns over, is false in
at most 5 % of reports; a difference that doesn't matter (`TIE_MARGIN`) turns nothing over.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from src.common.speed import TIE_MARGIN, Comparison, compare_rounds
from src.common.statistics import CONFIDENCE
from src.decide.bounds import shared_level

Rounds = Sequence[float]  # one value for each round, ms


@dataclass(frozen=True)
class Turnover:
    """A pair whose order differs between two machines; comparisons are of `first` against `second`."""

    first: int  # position of what is faster on `here`
    second: int  # position of what is faster on `there`
    here: str
    there: str
    faster: Comparison  # on `here`: below 1
    slower: Comparison  # on `there`: above 1

    @property
    def size(self) -> float:
        """How far it turns over: the lesser of the two differences, on logarithms."""
        return min(-math.log(self.faster.ratio), math.log(self.slower.ratio))


def turnovers(rounds: Mapping[str, Sequence[Rounds]], confidence: float = CONFIDENCE) -> list[Turnover]:
    """Every pair that turns over between two machines, the furthest first.

    Args:
        rounds: machine to the rounds of every candidate there, in one order on all machines; empty where a candidate
            was not measured, or its rounds are not known.
        confidence: that all comparisons hold together.
    """
    machines = list(rounds)
    pairs = list(combinations(range(min((len(v) for v in rounds.values()), default=0)), 2))
    known = [(m, a, b) for m in machines for a, b in pairs if len(rounds[m][a]) > 1 and len(rounds[m][b]) > 1]
    level = shared_level(confidence, len(known))
    compared = {(m, a, b): compare_rounds(rounds[m][a], rounds[m][b], level=level) for m, a, b in known}
    found = []
    for a, b in pairs:
        quicker = [m for m in machines if (m, a, b) in compared and _faster(compared[m, a, b])]
        other = [m for m in machines if (m, a, b) in compared and _slower(compared[m, a, b])]
        found += [Turnover(a, b, x, y, compared[x, a, b], compared[y, a, b]) for x in quicker for y in other]
    return sorted(found, key=lambda t: -t.size)


def _faster(c: Comparison) -> bool:
    return c.high < 1 and c.ratio < 1 - TIE_MARGIN


def _slower(c: Comparison) -> bool:
    return c.low > 1 and c.ratio > 1 + TIE_MARGIN
