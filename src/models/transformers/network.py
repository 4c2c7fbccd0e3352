"""Networks of transformers behind the two faces that this program needs: one that learns, one that is traced.

The family takes letterboxed images in 0..1; mean and standard deviation (ImageNet's, or what a published model says)
are taken care of inside. In
training the networks speak as torchvision's do (images and targets in, named losses out), so that one loop trains both.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from src.models import flops
from src.models.networks import Networks, Snapshots, check_architecture
from src.models.transformers import published
from src.models.transformers.configurations import BUILDERS, SOFTMAX
from src.models.transformers.snapshot_weights import snapshot_hash, snapshot_weights
from src.records.model_io import Input, Output, layout

if TYPE_CHECKING:
    from torch import nn

NAME = "transformers"
LICENCE = "Apache-2.0"
MOST_BOXES = 300  # per image: no more count, as in the product's evaluation
LOWEST_SCORE = 0.001


def input_of(imgsz: int, *, batch: int = 0) -> Input:
    """Letterboxed images in 0..1; mean and standard deviation are taken care of inside."""
    return Input(imgsz, imgsz, batch=batch)


def output_of(architecture: str, classes: int) -> Output:
    """A box and its logits for each query: centre and size in 0..1; no suppression is wanted."""
    known = published.is_published(architecture)
    softmax = published.parsed(architecture).kind in published.SOFTMAX if known else architecture in SOFTMAX
    return layout("detr" if softmax else "detr_sigmoid", classes, "detect")


def build_network(architecture: str, classes: int, imgsz: int) -> nn.Module:
    """An untrained detector of a configuration here, or of a published one; no hub is asked for anything."""
    import torch

    mean, std = _normalisation(architecture)

    class Detector(torch.nn.Module):
        """Torchvision's manner of speaking around a network of transformers."""

        def __init__(self) -> None:
            super().__init__()
            self.network = _library_network(architecture, classes, imgsz)
            self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
            self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

        def raw(self, x: Any, labels: Any = None) -> Any:
            """The library's own answer to inputs [n, 3, h, w] in 0..1."""
            return self.network(pixel_values=(x - self.mean) / self.std, labels=labels)

        def forward(self, images: Any, targets: Any = None) -> Any:
            """Losses where there are targets; else boxes, scores and classes (counted from 1) of each image."""
            x = torch.stack(list(images))
            if targets is not None:
                return {"loss": self.raw(x, [_labels(t, x.shape[-2:]) for t in targets]).loss}
            return _chosen(self.raw(x), output_of(architecture, classes), x.shape[-2:])

    return Detector()


def _normalisation(architecture: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of values in 0..1."""
    if published.is_published(architecture):
        of = published.parsed(architecture)
        return of.mean, of.std
    return published.MEAN, published.STD


def _library_network(architecture: str, classes: int, imgsz: int) -> Any:
    """Eager attention is traced as plain products, which every engine knows."""
    if published.is_published(architecture):
        return published.build_published(architecture, classes, imgsz)
    check_architecture(architecture, BUILDERS, NAME)
    return BUILDERS[architecture]({"num_labels": classes, "attn_implementation": "eager"}, imgsz)


def _labels(target: dict[str, Any], size: Any) -> dict[str, Any]:
    """Torchvision's target as transformers wants it: classes from 0, centre and size in 0..1."""
    import torch

    height, width = size
    boxes = target["boxes"] / target["boxes"].new_tensor([width, height, width, height])
    centre, side = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    return {"class_labels": target["labels"] - 1, "boxes": torch.cat([centre, side], dim=1)}


def _chosen(answer: Any, output: Output, size: Any) -> list[dict[str, Any]]:
    """Detections by the product's own decoding, so that validation while training says what evaluation will say."""
    import torch

    from src.inference.decode import decode
    from src.inference.types import Thresholds

    pair = [answer.pred_boxes.float().cpu().numpy(), answer.logits.float().cpu().numpy()]
    found = decode(pair, output, (int(size[0]), int(size[1])), Thresholds(conf=LOWEST_SCORE, max_det=MOST_BOXES))
    names = ("boxes", "scores", "labels")
    return [
        dict(zip(names, map(torch.from_numpy, (boxes, scores, ids + 1)), strict=True)) for boxes, scores, ids in found
    ]


def queries(network: Any) -> nn.Module:
    """A module from inputs [n, 3, h, w] to boxes [n, queries, 4] and logits [n, queries, classes]."""
    import torch

    class Queries(torch.nn.Module):
        """The network's two tensors that count."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Any) -> Any:
            """Boxes and logits."""
            answer = self.network.raw(x)
            return answer.pred_boxes, answer.logits

    return Queries().eval()


@functools.cache
def size_of(architecture: str, classes: int, imgsz: int) -> tuple[int, float]:
    """Parameters, and GFLOPs of one image."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = queries(build_network(architecture, classes, imgsz)).requires_grad_(False)  # the counter asks
        return flops.size_of(module, lambda network: network(torch.rand(1, 3, imgsz, imgsz)))


NETWORKS = Networks(
    family=NAME,
    licence=LICENCE,
    marker="detsweep.transformers",
    architectures=BUILDERS,
    build=build_network,
    size_of=size_of,
    input_of=input_of,
    output_of=output_of,
    backbone=("network.model.backbone.", "network.vit."),
    snapshots=Snapshots(published.is_published, snapshot_weights, snapshot_hash),
    half=("fp16",),  # queries are matched to objects in numpy, which has no bfloat16
)
