"""A family of detectors without networks, for toys that stand in for Ultralytics: a toy brings its `train`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from src.config.training import ModelConfig, Training
from src.models.base import EpochHook, ExportSource, Loaded, Start, TrainResult
from src.records.schema import Checkpoint, DatasetRef


class WithoutNetwork:
    """Accepts every configuration, starts from scratch, and has nothing to load or export."""

    name = "ultralytics"
    licence = "CC0-1.0"
    losses: tuple[str, ...] = ("box_loss",)
    packages: tuple[str, ...] = ()

    def scaled(self, model: ModelConfig) -> ModelConfig:
        """There are no sizes."""
        return model

    def check(self, training: Training) -> None:
        """Everything can be trained."""

    def start(self, training: Training, folder: Path) -> Start:
        """From scratch."""
        return Start(None, "scratch")

    def check_start(self, training: Training, start: Start, dataset: DatasetRef) -> None:
        """There is nothing to fit."""

    def signature(self, training: Training, dataset: DatasetRef, start: Start) -> Any:
        """All of the configuration."""
        return repr((asdict(training), dataset.fingerprint, start))

    def train(
        self, training: Training, dataset: DatasetRef, start: Start, out: Path, threads: int, on_epoch: EpochHook
    ) -> TrainResult:
        """For the toy to say."""
        raise NotImplementedError

    def forget_state(self, out: Path) -> None:
        """None is kept."""

    def save_untrained(self, training: Training, start: Start, class_names: list[str], path: Path) -> Checkpoint:
        """There is no network."""
        raise NotImplementedError

    def recognises(self, path: Path) -> bool:
        """No file is of this family."""
        return False

    def load(self, path: Path | str, *, imgsz: int | None = None, trust: bool = False) -> Loaded:
        """There is no network."""
        raise NotImplementedError

    def export_source(self, checkpoint: Checkpoint, *, trust: bool = False, fmt: str = "onnx") -> ExportSource:
        """There is no network."""
        raise NotImplementedError

    def weights_hash(self, path: Path) -> str:
        """There are no weights."""
        raise NotImplementedError


def checkpoint_of(training: Training, path: Path, sha: str, start: Start, best_epoch: int) -> Checkpoint:
    """The record of a toy's checkpoint."""
    return Checkpoint(
        path=str(path),
        sha256=sha,
        weights_sha256=sha,
        model=training.model.name,
        imgsz=training.imgsz,
        seed=training.seed,
        epochs=training.epochs,
        best_epoch=best_epoch,
        start=start.note,
        parameters=1,
        gflops=0.1,
    )
