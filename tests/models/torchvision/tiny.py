"""A detector of a few hundred weights: what the loop does with a network is seen without training a real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from src.config.training import Training
from src.models.base import EpochHook, Start
from src.models.networks import Networks
from src.models.torchvision.outputs import input_of, output_of
from src.models.torchvision.training import train
from src.models.trained_here import TrainedHere
from src.records.schema import DatasetRef

NAME = "tiny"


def build(architecture: str, classes: int, imgsz: int) -> Any:
    """Speaks as torchvision's detectors do: losses where there are targets, else a box an image."""
    import torch

    class Tiny(torch.nn.Module):
        """Guesses one box from the mean of each image's features."""

        def __init__(self) -> None:
            super().__init__()
            self.backbone = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 8, stride=8), torch.nn.BatchNorm2d(4))
            self.head = torch.nn.Linear(4, 4 + classes)

        def _guess(self, images: Any) -> tuple[Any, Any]:
            values = self.head(self.backbone(torch.stack(list(images))).mean(dim=(2, 3)))
            return values[:, :4].sigmoid() * imgsz, values[:, 4:]

        def forward(self, images: Any, targets: Any = None) -> Any:
            """Losses, or boxes with scores and classes from 1."""
            boxes, logits = self._guess(images)
            if targets is None:
                scores, labels = logits.softmax(dim=1).max(dim=1)
                rows = zip(boxes, scores, labels + 1, strict=True)
                return [{"boxes": b[None], "scores": s[None], "labels": n[None]} for b, s, n in rows]
            wanted = torch.stack([t["boxes"].mean(dim=0) for t in targets])
            names = torch.stack([t["labels"][0] - 1 for t in targets])
            return {
                "classification": torch.nn.functional.cross_entropy(logits, names),
                "bbox_regression": ((boxes - wanted) / imgsz).abs().mean(),
            }

    return Tiny()


NETWORKS = Networks(
    family=NAME,
    licence="MIT",
    marker="detsweep.tiny",
    architectures=("fasterrcnn_mobilenet_v3_large_320_fpn",),  # so that a configuration of the toys builds it
    build=build,
    size_of=lambda architecture, classes, imgsz: (sum(p.numel() for p in build("", classes, imgsz).parameters()), 0.0),
    input_of=input_of,
    output_of=lambda architecture, classes: output_of(classes),
    backbone=("backbone.",),
)
FAMILY = TrainedHere(NETWORKS)


def tiny_trained(
    training: Training, dataset: DatasetRef, out: Path, on_epoch: EpochHook = lambda epoch, row: None
) -> Any:
    """Train from scratch."""
    return train(training, dataset, Start(None, "scratch"), out, 1, on_epoch, NETWORKS)
