"""Learning-rate schedules: the share of `lr` that an epoch trains with. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Callable

Curve = Callable[[float], float]  # epochs done before, 0 … epochs - 1 -> share of lr


def step(period: int, gamma: float) -> Curve:
    """Constant, times `gamma` after every `period` epochs."""
    return lambda epoch: float(gamma ** (int(epoch) // period))


def exponential(gamma: float) -> Curve:
    """Times `gamma` after every epoch."""
    return lambda epoch: float(gamma**epoch)


def onecycle(epochs: int, rise: float, start: float, end: float) -> Curve:
    """One cycle (Smith, "Super-Convergence", 2018): cosine from `start` to 1 over the share `rise`, cosine to `end`.

    The peak falls on a whole epoch, so that one epoch really trains with the full rate.
    """
    last = max(epochs - 1, 1)
    peak = round(rise * last)

    def curve(epoch: float) -> float:
        if epoch < peak:
            return _cosine(start, 1.0, epoch / peak)
        return _cosine(1.0, end, min((epoch - peak) / max(last - peak, 1), 1.0))

    return curve


def _cosine(begin: float, end: float, share: float) -> float:
    return end + (begin - end) * (1 + math.cos(math.pi * share)) / 2
