"""Torchvision's networks: built without weights, for a square input of a fixed size, and counted.

The family takes letterboxed images, so torchvision's own resizing is taken out; its normalisation stays inside. Anchors
follow the size of the input: those that torchvision ships are made for 320 px, and at 160 px its smallest one would be
larger than most objects.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from src.models import flops
from src.models.networks import check_architecture

if TYPE_CHECKING:
    from torch import nn

RATIOS = (0.5, 1.0, 2.0)
SMALLEST = 8.0  # px; smaller anchors than this find nothing on a grid of 16 px and more
MOST_BOXES = 100  # per image, as COCO counts them
LOWEST_SCORE = 0.001
REGIONS = 0.4  # per px of the side, that the second stage learns from: most of a training's time goes into them
FEWEST_REGIONS, MOST_REGIONS = 32, 512  # 512 is torchvision's own number
TWO_STAGES = {"box_score_thresh": LOWEST_SCORE, "box_detections_per_img": MOST_BOXES}
ONE_STAGE = {"score_thresh": LOWEST_SCORE, "detections_per_img": MOST_BOXES}


@dataclass(frozen=True)
class Architecture:
    """How one of torchvision's detectors is built for other sizes of the input.

    Attributes:
        side: of the input that its anchors are made for, px; 0 where it has none, or they are shares of the input.
        anchors: px at that side, a tuple for each level of the pyramid.
        options: of its builder.
    """

    side: int
    anchors: tuple[tuple[float, ...], ...]
    options: Mapping[str, float]


def regions(imgsz: int) -> int:
    """How many regions of an image the second stage learns from: 64 of 160 px, 128 of 320, 320 of torchvision's 800."""
    return min(max(round(REGIONS * imgsz), FEWEST_REGIONS), MOST_REGIONS)


def _octaves(*sizes: int) -> tuple[tuple[float, ...], ...]:
    """Three anchors a level, a third of an octave apart, as RetinaNet has them (Lin et al. 2017)."""
    return tuple(tuple(size * 2 ** (third / 3) for third in range(3)) for size in sizes)


_SIZES = (32, 64, 128, 256, 512)
ARCHITECTURES = {
    "fasterrcnn_mobilenet_v3_large_320_fpn": Architecture(320, (_SIZES,) * 3, TWO_STAGES),
    "fasterrcnn_mobilenet_v3_large_fpn": Architecture(800, (_SIZES,) * 3, TWO_STAGES),
    "fasterrcnn_resnet50_fpn_v2": Architecture(800, tuple((size,) for size in _SIZES), TWO_STAGES),
    "retinanet_resnet50_fpn_v2": Architecture(800, _octaves(*_SIZES), ONE_STAGE),
    "fcos_resnet50_fpn": Architecture(0, (), ONE_STAGE),
    "ssdlite320_mobilenet_v3_large": Architecture(0, (), ONE_STAGE),
}


def build_network(architecture: str, classes: int, imgsz: int) -> nn.Module:
    """An untrained detector for `classes` classes (the background comes on top) and inputs of imgsz x imgsz px."""
    check_architecture(architecture, ARCHITECTURES, "torchvision")
    from torchvision.models import detection
    from torchvision.models.detection.anchor_utils import AnchorGenerator

    known, build = ARCHITECTURES[architecture], getattr(detection, architecture)
    model: Any = build(weights=None, weights_backbone=None, num_classes=classes + 1, **_options(known, imgsz))
    if known.side:
        sizes = tuple(tuple(max(SMALLEST, a * imgsz / known.side) for a in level) for level in known.anchors)
        anchors = AnchorGenerator(sizes, (RATIOS,) * len(sizes))
        (model.rpn if hasattr(model, "rpn") else model).anchor_generator = anchors
    model.transform = _fixed_transform(model.transform)
    network: nn.Module = model
    return network


def _options(known: Architecture, imgsz: int) -> dict[str, float]:
    """What its builder is given."""
    own: dict[str, float] = {"box_batch_size_per_image": regions(imgsz)} if known.options is TWO_STAGES else {}
    return {**known.options, **own}


def _fixed_transform(own: Any) -> Any:
    """Torchvision's transform without its resizing and padding: inputs have the size already."""
    import torch
    from torchvision.models.detection.transform import GeneralizedRCNNTransform

    class Normalise(GeneralizedRCNNTransform):  # type: ignore[misc, unused-ignore]
        """Subtracts the mean and divides by the standard deviation."""

        def resize(self, image: Any, target: Any = None) -> tuple[Any, Any]:
            """As it is."""
            return image, target

        def batch_images(self, images: Any, size_divisible: int = 32) -> Any:
            """All have one size."""
            return torch.stack(list(images))

    return Normalise(own.min_size, own.max_size, own.image_mean, own.image_std)


@functools.cache
def size_of(architecture: str, classes: int, imgsz: int) -> tuple[int, float]:
    """Parameters, and GFLOPs of one image.

    How many regions the second stage looks at depends on the weights; counted are those of the untrained network on
    noise, always the same ones.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_network(architecture, classes, imgsz).eval()
        x = torch.rand(1, 3, imgsz, imgsz)
        return flops.size_of(network, lambda module: module(list(x)))
