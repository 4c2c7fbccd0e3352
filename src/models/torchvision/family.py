"""Torchvision's detectors as a family: see `src.models.base`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from src.models.base import ExportSource, Loaded
from src.models.torchvision.outputs import LICENCE, NAME, NETWORKS, input_of, output_of
from src.models.trained_here import TrainedHere
from src.records.schema import Checkpoint

if TYPE_CHECKING:
    from torch import nn

PUBLISHED = "https://download.pytorch.org/models"


class Torchvision(TrainedHere):
    """Faster R-CNN, RetinaNet, FCOS and SSDlite."""

    name = NAME
    licence = LICENCE
    losses: tuple[str, ...] = (
        *("loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg"),  # of two stages
        *("classification", "bbox_regression", "bbox_ctrness"),  # of one
    )
    packages: tuple[str, ...] = ("torchvision",)

    def _bare(self, architecture: str, imgsz: int) -> nn.Module:
        import torch

        with torch.device("meta"):
            return super()._bare(architecture, imgsz)

    def load(self, path: Path | str, *, imgsz: int | None = None, trust: bool = False) -> Loaded:
        """Load a checkpoint; nothing in it needs trust."""
        from src.models.torchvision.checkpoint import load, network_of
        from src.models.torchvision.outputs import listed

        saved = load(path)
        module = listed(network_of(saved, path, imgsz))
        return Loaded(module, saved.names, input_of(imgsz or saved.imgsz), output_of(len(saved.names)))

    def export_source(self, checkpoint: Checkpoint, *, trust: bool = False, fmt: str = "onnx") -> ExportSource:
        """The network with its suppression inside; a traced graph takes one image."""
        found = self.load(checkpoint.path, imgsz=checkpoint.imgsz)
        entries = {**self.entries(found.names, checkpoint.imgsz), "end2end": "True"}
        shape = input_of(checkpoint.imgsz, batch=1)
        return ExportSource(found.module, found.names, shape, found.output, dynamic_batch=False, metadata=entries)


FAMILY = Torchvision(NETWORKS, PUBLISHED)
