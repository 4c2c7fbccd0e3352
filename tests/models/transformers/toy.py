"""Trainings of toy size: 128 px, 4 images, two epochs."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from src.config.training import Training
from src.models.base import EpochHook, Start
from src.models.transformers.family import FAMILY
from src.records.schema import DatasetRef
from tests.models.ultralytics.toy import toy

SCRATCH = Start(None, "scratch")
DATA = ("data.n_train=4", "batch=2")
WORDS = (*DATA, "imgsz=128", "epochs=2", "lr=0.001", "train.plots=false", "model.weights=scratch")


@functools.cache
def asked(model: str = "dfine_s", *words: str) -> Training:
    """A checked configuration."""
    return toy(*WORDS, f"model={model}", "augment=light", *words).training


def trained(training: Training, dataset: DatasetRef, out: Path, on_epoch: EpochHook = lambda epoch, row: None) -> Any:
    """Train from scratch."""
    return FAMILY.train(training, dataset, SCRATCH, out, 1, on_epoch)
