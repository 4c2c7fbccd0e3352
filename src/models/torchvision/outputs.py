"""What this family's networks take and give, and the form in which they give it: one tensor for all boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from src.models.networks import Networks
from src.models.torchvision.network import ARCHITECTURES, MOST_BOXES, build_network, size_of
from src.records.model_io import Input, Output

if TYPE_CHECKING:
    from torch import nn

NAME = "torchvision"
LICENCE = "BSD-3-Clause"


def input_of(imgsz: int, *, batch: int = 0) -> Input:
    """Letterboxed images in 0..1; mean and standard deviation are taken care of inside."""
    return Input(imgsz, imgsz, batch=batch)


def output_of(classes: int) -> Output:
    """Corners in px of the input, score and class; suppression is inside."""
    return Output("listed", "corners", nms=True, classes=classes, task="detect")


def listed(network: Any) -> nn.Module:
    """A module from inputs [n, 3, h, w] to [n, MOST_BOXES, 6]: corners, score, class; rows without a box are zero."""
    import torch

    class Listed(torch.nn.Module):
        """The network with its answers in one tensor."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Any) -> Any:
            """One tensor."""
            return torch.stack([self._rows(item) for item in self.network(list(x))])

        def _rows(self, item: Any) -> Any:
            rows = torch.cat(
                [item["boxes"], item["scores"][:, None], (item["labels"] - 1)[:, None].to(item["boxes"].dtype)], dim=1
            )
            blank = torch.zeros((MOST_BOXES, 6), dtype=rows.dtype, device=rows.device)
            return torch.cat([rows, blank])[:MOST_BOXES]

    return Listed().eval()


NETWORKS = Networks(
    family=NAME,
    licence=LICENCE,
    marker="detsweep.torchvision",
    architectures=ARCHITECTURES,
    build=build_network,
    size_of=size_of,
    input_of=input_of,
    output_of=lambda architecture, classes: output_of(classes),
    backbone=("backbone.body.", "backbone.features."),  # the pyramid and SSD's further layers count as head
)
