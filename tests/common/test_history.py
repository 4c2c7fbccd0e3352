"""Which figures of an epoch are parts of the loss, whatever a family calls them."""

from __future__ import annotations

import pytest

from src.common.history import loss_names, total_loss
from src.models.base import MODULES, family


@pytest.mark.parametrize("name", MODULES)
def test_every_part_of_a_familys_loss_counts(name: str) -> None:
    parts = [f"train/{part}" for part in family(name).losses]
    row = {"lr": 0.01, **dict.fromkeys(parts, 0.5), "val/mAP50-95": 0.4, "val/box_loss": 9.0}
    assert loss_names(row) == parts
    assert total_loss(row) == pytest.approx(0.5 * len(parts))
