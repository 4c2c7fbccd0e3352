"""Pruners compare mAP; where it is the same, as at the beginning of a training, the loss decides."""

from __future__ import annotations

import math

import optuna
import pytest

from src.config.schema import Pruner, StudyConfig
from src.sweeper.pruner import make_pruner, standing

MAP = "val/mAP50-95"


def row(value: float, loss: float) -> dict[str, float]:
    return {MAP: value, "val/box_loss": 99.0 - loss, "train/box_loss": loss / 2, "train/cls_loss": loss / 2}


@pytest.mark.parametrize("kind", [Pruner.asha, Pruner.median])
def test_the_loss_decides_where_all_stand_at_zero(kind: Pruner) -> None:
    cfg = StudyConfig(pruner=kind, pruner_warmup=1)
    study = optuna.create_study(direction="maximize", pruner=make_pruner(cfg, epochs=9))
    stopped = []
    for number, loss in enumerate([9.0, 8.0, 7.0, 6.0, 50.0, 5.0, 40.0]):
        trial = study.ask()
        for epoch in range(1, 10):
            trial.report(standing(row(0.0, loss), MAP), epoch)
            if trial.should_prune():
                stopped.append(number)
                break
        study.tell(trial, 0.0)
    assert stopped == [4, 6]


def test_the_loss_outweighs_no_map_that_means_something() -> None:
    assert standing(row(0.002, 900.0), MAP) > standing(row(0.001, 1.0), MAP)
    assert standing(row(0.5, 1e9), MAP) == pytest.approx(0.499), "bounded, whatever the loss"
    assert standing(row(0.5, math.nan), MAP) == 0.5
    assert standing({}, MAP) == 0.0
