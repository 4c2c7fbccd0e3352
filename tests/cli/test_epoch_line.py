"""The line of an epoch: what it holds, and how it stands to the best so far."""

from __future__ import annotations

import pytest

from src.cli.epoch_line import epoch_line, standing

ROW = {"train/box_loss": 1.2345, "train/cls_loss": 0.5, "lr": 0.00134, "val/mAP50-95": 0.3, "val/box_loss": 9.0}


def test_a_line_holds_losses_rate_metric_and_gain() -> None:
    line = epoch_line(3, 10, ROW, [0.1, 0.25])
    assert line == "epoch 3/10  box 1.234  cls 0.500  lr 0.00134  val mAP50-95 0.300 (new best, +0.050)"
    assert epoch_line(1, 2, {"val/mAP50-95": 0.25}, []) == "epoch 1/2  val mAP50-95 0.250", "nothing to compare with"
    retinanet = {"lr": 0.002, "train/classification": 1.118, "train/bbox_regression": 0.862, "val/mAP50-95": 0.0}
    assert epoch_line(1, 1, retinanet, []).startswith("epoch 1/1  classification 1.118  bbox_regression 0.862  lr")


@pytest.mark.parametrize(
    ("value", "curve", "said"),
    [
        (0.3, [], ""),
        (0.3, [0.2], "new best, +0.100"),
        (0.3, [0.2, 0.4, 0.1], "-0.100 to the best, epoch 2"),
        (0.4, [0.2, 0.4], "equals the best, epoch 2"),
    ],
)
def test_a_metric_is_held_against_the_best(value: float, curve: list[float], said: str) -> None:
    assert standing(value, curve) == said
