"""How model files are made: schemas below `export`. What makes no sense is refused by `src.config.export_checks`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class CalibrationConfig:
    """Key `export.calibration`: the images that static INT8 takes its ranges from."""

    folder: str | None = None  # of images of one's own; null = the calibration part of train
    images: int | None = None  # of them, evenly chosen; null = at most 128, of LiteRT 48


@dataclass
class Int8Config:
    """Key `export.int8`: how static INT8 rounds, and which layers it leaves alone."""

    weights: str = "channel"  # channel | tensor: a scale for each output channel, or one for a whole layer
    keep: Any = None  # layers that stay float: null = none, auto = as few as the gate needs, or names
    most_kept: int = 8  # of keep=auto: layers that may stay float
