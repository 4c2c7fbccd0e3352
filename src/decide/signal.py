"""Does the recommended model detect anything at all? A ranking of models that detect nothing is a ranking of noise.

A figure is held against `decision.nothing_map` by the low end of its 95 % interval over images, on test where test was
opened: what few images can't tell from nothing is not shipped. Where no evaluation in depth exists the bare figure has
to do, since an interval over two or three seeds would swallow every model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from src.decide.candidates import MAP
from src.decide.choice import Decision
from src.decide.configurations import Configuration
from src.decide.notes import Note, note
from src.records.schema import EvaluationRecord


@dataclass(frozen=True)
class Signal:
    """mAP50-95 of the chosen model on one split, against what counts as nothing."""

    value: float
    low: float  # end of the 95 % interval; NaN without one
    high: float
    split: str
    floor: float

    @property
    def found(self) -> bool:
        """Whether it lies above what counts as nothing, with its interval where there is one."""
        return (self.low if math.isfinite(self.low) else self.value) > self.floor

    def said(self, stem: str) -> Note:
        """The note `stem`, in its form with or without an interval."""
        values = {"value": self.value, "split": self.split, "floor": self.floor}
        if math.isfinite(self.low):
            return note(f"{stem}_interval", low=self.low, high=self.high, **values)
        return note(stem, **values)


def chosen_configuration(decision: Decision) -> Configuration | None:
    """The winner's configuration; without any candidate the best one trained."""
    if decision.recommended is not None:
        return decision.recommended.configuration
    return None if decision.candidates or not decision.finished else decision.finished[0]


def signal_of(decision: Decision) -> Signal | None:
    """What is known of the chosen model; None when nothing can be chosen."""
    chosen, winner, floor = chosen_configuration(decision), decision.recommended, decision.settings.nothing_map
    if chosen is None:
        return None
    if winner is not None:
        if winner.best.test_depth is not None:
            return _in_depth(winner.best.test_depth, floor)
        if math.isfinite(winner.test_map):
            return Signal(winner.test_map, math.nan, math.nan, "test", floor)
        if winner.best.val_depth is not None:
            return _in_depth(winner.best.val_depth, floor)
    return Signal(chosen.spread.mean, math.nan, math.nan, "val", floor)


def _in_depth(record: EvaluationRecord, floor: float) -> Signal:
    low, high = record.intervals.get(MAP, [math.nan, math.nan])
    return Signal(record.figures.get(MAP, math.nan), low, high, record.split, floor)
