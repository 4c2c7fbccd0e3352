"""The detectors of transformers as a family: see `src.models.base`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from src.common.errors import UserError
from src.config.training import ModelConfig, Training
from src.models.base import ExportSource, Loaded, Start
from src.models.networks import check_architecture
from src.models.trained_here import TrainedHere
from src.models.transformers.configurations import BUILDERS, SMALLEST
from src.models.transformers.hub import HUB
from src.models.transformers.network import LICENCE, NAME, NETWORKS, input_of, output_of
from src.models.transformers.published import CLASSES, SNAPSHOT
from src.records.schema import Checkpoint, DatasetRef


class Transformers(TrainedHere):
    """D-FINE, RT-DETRv2, RF-DETR, DETR and YOLOS: small ones built here, and published ones of any size."""

    name = NAME
    licence = LICENCE
    losses: tuple[str, ...] = ("loss",)
    packages: tuple[str, ...] = ("transformers",)

    def scaled(self, model: ModelConfig) -> ModelConfig:
        """Small configurations and published models come in one size each."""
        check_architecture(model.architecture, (*BUILDERS, *CLASSES, SNAPSHOT), NAME)
        return self._without_scale(model)

    def check(self, training: Training) -> None:
        """Refuse keys that mean nothing here, sizes that are too small, and devices that are not there."""
        _check_installed(training.model)
        if training.model.architecture in BUILDERS:
            _check_small(training)
        super().check(training)

    def start(self, training: Training, folder: Path) -> Start:
        """The weights to start from, and of a published model its architecture."""
        from src.models.transformers.begin import published_start

        if training.model.architecture in BUILDERS:
            return super().start(training, folder)
        return published_start(training.model, folder, self._published)

    def check_start(self, training: Training, start: Start, dataset: DatasetRef) -> None:
        """Refuse a size that a published network can't take, and weights of which nothing fits."""
        from src.models.transformers.begin import check_fit

        if not start.architecture:
            super().check_start(training, start, dataset)
            return
        check_fit(start, len(dataset.class_names), training.imgsz, training.model.name)
        if training.train.freeze_names:
            self._check_freeze(training, start.architecture)

    def signature(self, training: Training, dataset: DatasetRef, start: Start) -> Any:
        """Everything that decides the weights."""
        return [NAME, *super().signature(training, dataset, start)]

    def load(self, path: Path | str, *, imgsz: int | None = None, trust: bool = False) -> Loaded:
        """Load a checkpoint; nothing in it needs trust. Learned positions of another size are interpolated."""
        from src.models.torchvision.checkpoint import load, network_of
        from src.models.transformers.network import queries

        saved = load(path, NETWORKS)
        module = queries(network_of(saved, path, of=NETWORKS))
        shape = input_of(imgsz or saved.imgsz)
        return Loaded(module, saved.names, shape, output_of(saved.architecture, len(saved.names)))

    def export_source(self, checkpoint: Checkpoint, *, trust: bool = False, fmt: str = "onnx") -> ExportSource:
        """The network as it is; a traced graph takes one image, whose grid and anchors become constants."""
        found = self.load(checkpoint.path, imgsz=checkpoint.imgsz)
        entries = self.entries(found.names, checkpoint.imgsz)
        shape = input_of(checkpoint.imgsz, batch=1)
        return ExportSource(found.module, found.names, shape, found.output, dynamic_batch=False, metadata=entries)


def _check_small(training: Training) -> None:
    if training.model.weights == "auto":
        raise UserError(
            "no weights are published for these small configurations",
            value=f"model.weights=auto with model={training.model.name}",
            remedy="model.weights=scratch, or the path of a checkpoint; published models: dfine_nano, dfine_small, "
            "rtdetrv2_r18, rfdetr_nano, detr_r50, yolos_tiny",
        )
    smallest = SMALLEST.get(training.model.architecture, 0)
    if training.imgsz < smallest:
        raise UserError(
            f"{training.model.name} can't take so small an image",
            value=f"imgsz={training.imgsz}",
            remedy=f"imgsz={smallest} or more",
        )


def _check_installed(model: ModelConfig) -> None:
    from importlib.util import find_spec

    missing = [name for name in ("transformers", "scipy") if find_spec(name) is None]
    if missing:
        raise UserError(
            f"model.family=transformers needs {' and '.join(missing)}",
            value=f"model={model.name}",
            remedy="make setup",
        )


FAMILY = Transformers(NETWORKS, HUB)
