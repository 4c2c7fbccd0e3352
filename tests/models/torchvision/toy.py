"""Trainings of toy size: 64 px, 4 images, three epochs."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from src.config.training import Training
from src.models.base import EpochHook, Start
from src.models.torchvision.family import FAMILY
from src.records.schema import DatasetRef
from tests.models.ultralytics.toy import toy

SCRATCH = Start(None, "scratch")
DATA = ("data.n_train=4", "batch=2")
WORDS = (*DATA, "model=frcnn_mobilenet", "imgsz=64", "epochs=3", "lr=0.001", "train.plots=false")


class StoppedError(Exception):
    """Ends a training from outside."""


@functools.cache
def asked(*words: str, augment: str = "none") -> Training:
    """A checked configuration."""
    return toy(*WORDS, f"augment={augment}", *words).training


def trained(training: Training, dataset: DatasetRef, out: Path, on_epoch: EpochHook = lambda epoch, row: None) -> Any:
    """Train from scratch."""
    return FAMILY.train(training, dataset, SCRATCH, out, 1, on_epoch)


def first_epoch(training: Training, dataset: DatasetRef, out: Path) -> dict[str, float]:
    """Figures of the first epoch of a training that is ended after it."""
    rows: list[dict[str, float]] = []

    def stop(epoch: int, row: dict[str, float]) -> None:
        rows.append(row)
        raise StoppedError

    try:
        trained(training, dataset, out, stop)
    except StoppedError:
        return rows[0]
    raise AssertionError("no epoch was told of")
