"""A rate that drops when val has not improved for some epochs: the one schedule that is not known beforehand.

PyTorch's own scheduler of this kind sets rates itself, and a warm-up that multiplies by the schedule's share would undo
that. Here it is a share of `lr` like every other schedule, with a state of four numbers that a resumed training gets
back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class Plateau:
    """The share of `lr` that the next epoch trains with.

    Args:
        factor: of every drop.
        patience: epochs in a row without an improvement before a drop.
        min_gain: an improvement must be larger than this.
        lowest: share below which nothing drops.
    """

    factor: float
    patience: int
    min_gain: float = 0.0
    lowest: float = 0.0
    share: float = 1.0
    best: float = -math.inf
    waited: int = 0

    def epoch(self, value: float) -> bool:
        """Take note of an epoch's metric, larger is better; returns whether the rate drops."""
        if value > self.best + self.min_gain:
            self.best, self.waited = value, 0
            return False
        self.waited += 1
        if self.waited < self.patience or self.share <= self.lowest:
            return False
        self.share, self.waited = max(self.share * self.factor, self.lowest), 0
        return True

    def state(self) -> list[float]:
        """What `restore` takes."""
        return [self.share, self.best, float(self.waited)]

    def restore(self, state: list[float]) -> None:
        """Go on from an earlier state."""
        self.share, self.best, self.waited = state[0], state[1], int(state[2])
