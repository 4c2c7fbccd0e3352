"""Pruners: stop trials that can't win, by their validation mAP50-95 after every epoch, or after every replicate."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping

import optuna

from src.common.history import total_loss
from src.config.schema import Pruner, StudyConfig

TIE, MOST_LOSS = 1e-6, 1000.0


class PrunedError(Exception):
    """The pruner gave up on a trial after `epoch` epochs."""

    def __init__(self, epoch: int) -> None:
        super().__init__(f"pruned after epoch {epoch}")
        self.epoch = epoch


class PausedError(Exception):
    """A trial has reached its rung, after `epoch` epochs; its state is kept, and it may go on."""

    def __init__(self, epoch: int) -> None:
        super().__init__(f"paused after epoch {epoch}")
        self.epoch = epoch


def standing(row: Mapping[str, float], objective: str) -> float:
    """What a pruner compares after an epoch: the objective, less a millionth of the loss on train.

    Early in a training from scratch many configurations have an mAP of exactly 0, and pruners let a tie pass. The loss
    tells them apart; beside any difference of mAP that means something it is nothing. The loss on val would not do:
    until the first objects are found it says how large the images are.

    Args:
        row: figures of the epoch.
        objective: name of the validation mAP among them.
    """
    loss = total_loss(row)
    return row.get(objective, 0.0) - TIE * (min(loss, MOST_LOSS) if math.isfinite(loss) else 0.0)


def make_pruner(cfg: StudyConfig, epochs: int) -> optuna.pruners.BasePruner:
    """The pruner that the configuration asks for.

    Args:
        cfg: group `study`.
        epochs: of a whole training.
    """
    first = max(cfg.pruner_warmup, 1)
    if cfg.pruner is Pruner.median:
        return optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=cfg.pruner_warmup)
    if cfg.pruner is Pruner.asha:
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=first, reduction_factor=2)
    if cfg.pruner is Pruner.hyperband:
        return optuna.pruners.HyperbandPruner(min_resource=first, max_resource=max(epochs, first), reduction_factor=3)
    if cfg.pruner is Pruner.threshold:
        return optuna.pruners.ThresholdPruner(lower=cfg.pruner_threshold, n_warmup_steps=cfg.pruner_warmup)
    if cfg.pruner is Pruner.wilcoxon:
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.pruners.WilcoxonPruner(p_threshold=cfg.pruner_p, n_startup_steps=2)
    return optuna.pruners.NopPruner()
