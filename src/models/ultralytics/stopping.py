"""Early stopping on a metric of choice that must improve by a smallest gain."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

PREFIX = "metrics/"


def stop_value(metric: str, metrics: Mapping[str, float]) -> float:
    """The watched metric of an epoch, larger is better: losses are negated.

    Args:
        metric: mAP50-95, mAP50, precision, recall, f1, or loss (the sum of the validation losses).
        metrics: as Ultralytics reports them after validation.
    """
    if metric == "loss":
        return -sum(value for name, value in metrics.items() if name.startswith("val/") and "loss" in name)
    if metric == "f1":
        precision, recall = (float(metrics.get(f"{PREFIX}{name}(B)", 0.0)) for name in ("precision", "recall"))
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return float(metrics.get(f"{PREFIX}{metric}(B)", 0.0))


class Stopper:
    """Takes the place of Ultralytics' EarlyStopping and has what its trainer reads.

    Args:
        patience: epochs without improvement before stopping.
        min_gain: an improvement must be larger than this.
        value: reads the watched metric of the epoch that just ended.
    """

    def __init__(self, patience: int, min_gain: float, value: Callable[[], float]) -> None:
        self.patience = patience
        self.min_gain = min_gain
        self.best_fitness = -math.inf
        self.best_epoch = 0
        self.possible_stop = False
        self._value = value

    def __call__(self, epoch: int, fitness: float | None) -> bool:
        """Whether to stop after 1-based `epoch`.

        `fitness` is Ultralytics' own choice of metric and only says whether the epoch was validated.
        """
        if fitness is None:
            return False
        value = self._value()
        # While nothing is found at all, nothing can be judged: as in Ultralytics, the count has not begun.
        if value > self.best_fitness + self.min_gain or value == self.best_fitness == 0:
            self.best_fitness, self.best_epoch = value, epoch
        waited = epoch - self.best_epoch
        self.possible_stop = waited >= self.patience - 1
        return waited >= self.patience
