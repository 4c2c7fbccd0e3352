"""Learning-rate schedules: the share of `lr` that an epoch trains with. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Callable

from src.config.training import TrainConfig

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


def curve_of(t: TrainConfig, epochs: int) -> Curve:
    """The schedule that a recipe asks for."""
    if t.schedule == "step":
        return step(t.step_epochs, t.step_gamma)
    if t.schedule == "onecycle":
        return onecycle(epochs, t.onecycle_rise, t.onecycle_start, t.lrf)
    if t.schedule == "exponential":
        return exponential(t.exponential_gamma)
    if t.schedule == "cosine":
        return lambda epoch: _cosine(1.0, t.lrf, min(epoch / epochs, 1))
    return lambda epoch: max(1 - epoch / epochs, 0) * (1 - t.lrf) + t.lrf


def _cosine(begin: float, end: float, share: float) -> float:
    return end + (begin - end) * (1 + math.cos(math.pi * share)) / 2
