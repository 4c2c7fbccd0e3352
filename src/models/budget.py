"""When a training ends: after so many epochs, or when so many minutes of processor time are used.

Equal epochs favour the detector whose epochs are dear; equal time asks what each makes of the same computer. Time is
that of training epochs with their validation, all threads added up; on a GPU, which processor time says nothing about,
it is the clock's. The rates follow the share of the budget that is used, so that every schedule comes to its end. What
is used stands in the rows of the history: a training that is killed and goes on counts on from its last whole epoch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from src.common.history import USED

MOST_EPOCHS = 1_000_000


class Budget:
    """The budget of one training, and what is used of it.

    Args:
        epochs: to train; with minutes, only the scale on which a schedule counts its epochs.
        minutes: to train for; None = as many as the epochs take.
        gpu: whether a GPU trains: then the clock is read.
    """

    def __init__(self, epochs: int, minutes: float | None, *, gpu: bool = False) -> None:
        self.epochs, self.minutes = epochs, minutes
        self._clock = time.perf_counter if gpu else time.process_time
        self._begun = self._clock()
        self._before = 0.0  # minutes of an earlier process

    def begin(self, history: Sequence[dict[str, float]]) -> None:
        """Training begins now, or goes on after the epochs of `history`."""
        self._before = history[-1].get(USED, 0.0) if history else 0.0
        self._begun = self._clock()

    def used(self) -> dict[str, float]:
        """The entry for the row of an epoch that just ended; empty where epochs are counted."""
        if self.minutes is None:
            return {}
        return {USED: self._before + (self._clock() - self._begun) / 60}

    def done(self, history: Sequence[dict[str, float]]) -> float:
        """How far a training is on the scale of its epochs: what a schedule is asked with."""
        if self.minutes is None:
            return float(len(history))
        used = history[-1][USED] if history else 0.0
        return min(used / self.minutes, 1.0) * self.epochs

    def total(self, history: Sequence[dict[str, float]]) -> int:
        """Epochs in all, as far as can be told: at least one, and no more than are done when the minutes are used.

        A last epoch is begun when at least half of it fits, so that on average neither more nor less than the minutes
        are used.
        """
        if self.minutes is None:
            return self.epochs
        if not history:
            return MOST_EPOCHS
        each = history[-1][USED] / len(history)
        return len(history) + max(round((self.minutes - history[-1][USED]) / each) if each else MOST_EPOCHS, 0)

    def is_used(self, history: Sequence[dict[str, float]]) -> bool:
        """Whether no further epoch is to be trained."""
        return bool(history) and len(history) >= self.total(history)
