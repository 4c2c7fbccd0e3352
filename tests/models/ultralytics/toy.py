"""Trainings of toy size: 32 px, 8 images, a few epochs, and the trainer at hand to look into."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from src.config.checks import check
from src.config.schema import AppConfig
from src.data import resolve
from src.models.base import Start, TrainResult
from src.models.ultralytics import training
from src.models.ultralytics.checkpoint import load_checkpoint
from src.models.ultralytics.training import train
from src.records.schema import DatasetRef
from tests.config.test_config import composed

SMALL = ["imgsz=32", "batch=4", "data.n_train=8", "data.n_val=4", "data.n_test=4", "data.size=64"]
Hook = Callable[[Any], None]


def toy(*words: str) -> AppConfig:
    """A checked configuration of toy size."""
    cfg = composed(*SMALL, "train.plots=false", "epochs=1", *words)
    check(cfg)
    return cfg


def toy_dataset(factory: pytest.TempPathFactory) -> DatasetRef:
    """The toy digits, prepared once a session."""
    return resolve(toy().data, factory.getbasetemp() / "toy-data")


def run(
    cfg: AppConfig,
    dataset: DatasetRef,
    out: Path,
    *,
    start: Path | None = None,
    hooks: Mapping[str, Hook] | None = None,
) -> TrainResult:
    """Train, with callbacks of Ultralytics' events that are given the trainer."""
    build = training._build_trainer

    def build_and_hook(*args: Any) -> Any:
        trainer = build(*args)
        for event, hook in (hooks or {}).items():
            trainer.add_callback(event, hook)
        return trainer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "_build_trainer", build_and_hook)
        return train(
            cfg.training, dataset, Start(start, "test"), out, 1, lambda epoch, row: None
        )  # two would wait for each other


def weights(path: Path | str) -> dict[str, Any]:
    """Tensors of a checkpoint by name."""
    return dict(load_checkpoint(path).state_dict())
