"""Names in the rows that a training tells epoch by epoch; each family of detectors has its own parts of a loss."""

from __future__ import annotations

import math
from collections.abc import Mapping

USED = "used_minutes"  # of a training that ends by the clock: up to the end of that epoch


def loss_names(row: Mapping[str, float]) -> list[str]:
    """The parts of the loss on the training images, in the order of the row; not all have "loss" in their names."""
    return [name for name in row if name.startswith("train/")]


def total_loss(row: Mapping[str, float]) -> float:
    """Sum of the finite parts of the loss on the training images; NaN where there are none."""
    parts = [row[name] for name in loss_names(row) if math.isfinite(row[name])]
    return math.fsum(parts) if parts else math.nan
