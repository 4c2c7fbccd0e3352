"""How much worse than the best a model may be: bounds that hold for whichever model is picked by them.

"At most a margin worse" is a claim that needs evidence of its own (non-inferiority: Schuirmann 1987; Piaggio et al.,
JAMA 308, 2012); a difference that is not significant is no such evidence. For each model the bound is the largest over
its rivals of the one-sided upper bound of the rival's lead, since nobody knows which rival is truly the best. Multiple
comparisons with the best (Hsu, "Constrained simultaneous confidence intervals for multiple comparisons with the best",
Ann. Stat. 12, 1984) hold for all models at once when each of the k - 1 comparisons with the true best is made at the
level that they share, so picking the cheapest model whose bound is small enough adds no error. The shared level is
Šidák's, which errs on the safe side for comparisons that have the best in common.

Only different weights count as rivals: one file on three runtimes, or a hundred equal files, are one hypothesis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from src.decide.uncertainty import Gap, Method, Model, gap

Status = Literal["within", "worse", "open"]  # of a model against the margin


@dataclass(frozen=True)
class Deficit:
    """How much worse than the best one model may be."""

    rival: int  # position of the model that it is held against
    delta: float  # score of the rival less its own
    low: float  # one-sided bounds at the shared level; infinite when not established
    high: float
    method: Method
    status: Status
    gap: Gap


def shared_level(confidence: float, rivals: int) -> float:
    """The level of one comparison among `rivals` that hold together at `confidence` (Šidák 1967)."""
    return math.pow(confidence, 1 / max(1, rivals))


def deficits(models: Sequence[Model], margin: float, level: float) -> list[Deficit]:
    """The deficit of every model against the rival that bounds it most.

    Args:
        models: what may be shipped; equal weights may stand in it several times.
        margin: largest acceptable deficit, mAP50-95.
        level: confidence of each comparison, see `shared_level`.
    """
    everyone = range(len(models))
    return [deficit_of(models, i, [j for j in everyone if j != i], margin, level) for i in everyone]


def deficit_of(models: Sequence[Model], own: int, rivals: Sequence[int], margin: float, level: float) -> Deficit:
    """The deficit of one model against some of the others; see `deficits`."""
    return _worst(own, [(j, gap(models[j], models[own])) for j in rivals if j != own], margin, level)


def _worst(own: int, rows: Sequence[tuple[int, Gap]], margin: float, level: float) -> Deficit:
    if not rows:
        alone = Gap(0.0, 0.0, math.inf, "images")
        return Deficit(own, 0.0, 0.0, 0.0, "images", "within", alone)
    bounded = [(j, g, *g.bounds(level)) for j, g in rows]
    # Several rivals may be unbounded: the one that leads most is named.
    j, g, _, high = max(bounded, key=lambda row: (row[3], row[1].delta))
    low = max(row[2] for row in bounded)
    status: Status = "within" if high <= margin else "worse" if low > margin else "open"
    if status == "worse":
        j, g, _, high = max(bounded, key=lambda row: (row[2], row[1].delta))
    return Deficit(j, g.delta, g.bounds(level)[0], high, g.method, status, g)
