"""The three rows that page one and the terminal show: the best, the recommended, and the cheapest that was refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from src.common.speed import Comparison as Speed
from src.decide.candidates import Candidate
from src.decide.choice import Comparison, Decision
from src.decide.judgement import paired_gap
from src.decide.speed import compare_speed, dearer
from src.decide.uncertainty import SAME

Role = Literal["best", "recommended", "both", "refused"]


@dataclass(frozen=True)
class Gap:
    """How far a candidate lies below the best on one split; bounds are one-sided, and infinite when not established."""

    delta: float
    low: float
    high: float

    @classmethod
    def of(cls, found: Comparison) -> Gap:
        """What a comparison on val found: the very bounds that decided."""
        return cls(found.deficit.delta, found.deficit.low, found.deficit.high)


@dataclass(frozen=True)
class Row:
    """One candidate with what decided about it."""

    role: Role
    candidate: Candidate
    comparison: Comparison | None  # the one that decided; None for the best, and for what breaks a limit
    test: Gap | None  # below the best on test; None where test was not opened for both
    speed: Speed | None  # its latency over that of the recommended one


def headline(decision: Decision) -> list[Row]:
    """The rows in this order; fewer when they coincide, none without anything feasible."""
    best, chosen = decision.best, decision.recommended
    if best is None or chosen is None:
        return []
    rows = [_row("both", chosen, decision)] if best is chosen else []
    rows = rows or [_row("best", best, decision), _row("recommended", chosen, decision)]
    cheaper = refused(decision)
    return [*rows, _row("refused", cheaper, decision)] if cheaper else rows


def refused(decision: Decision) -> Candidate | None:
    """The cheapest, by more than a tie below the recommended one: refused for its accuracy, else for a limit."""
    chosen = decision.recommended
    if chosen is None:
        return None
    accuracy = [c.other for c in decision.comparisons if not c.within]
    # What some device refuses has no latency over all of them, and can't be called cheaper than what has one.
    limits = [c for c in decision.candidates if c.key not in decision.feasible] if decision.shared is None else []
    for group in (accuracy, limits):
        cheaper = [c for c in group if c.measured and dearer(*decision.sides(chosen, c))]
        if cheaper:
            return min(cheaper, key=decision.cost)
    return None


def gap_on_test(decision: Decision, c: Candidate) -> Gap | None:
    """How far the file that would ship lies below the best one on test, over the same images."""
    if decision.best is None or c is decision.best:
        return None
    found = paired_gap(decision.best.best.test_depth, c.best.test_depth)
    return Gap(found.delta, *found.bounds(decision.settings.confidence)) if found else None


def same_weights(found: Comparison) -> bool:
    """Whether it is the very training of the best, with nothing lost."""
    return found.deficit.low == found.deficit.high and abs(found.deficit.delta) < SAME


def held_against_another(found: Comparison | None, decision: Decision) -> bool:
    """Whether the bound comes from another configuration than the best: one that may be better, for all we know."""
    best = decision.best
    return found is not None and best is not None and found.rival.configuration is not best.configuration


def _row(role: Role, c: Candidate, decision: Decision) -> Row:
    chosen = decision.recommended
    speed = compare_speed(*decision.sides(c, chosen)) if chosen and c is not chosen else None
    return Row(role, c, decision.comparison(c), gap_on_test(decision, c), speed)
