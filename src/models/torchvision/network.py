"""Torchvision's networks: built without weights, for a square input of a fixed size, and counted.

The family takes letterboxed images, so torchvision's own resizing is taken out; its normalisation stays inside. Anchors
follow the size of the input: those that torchvision ships are made for 320 px, and at 160 px its smallest one would be
larger than most objects.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from src.common.errors import UserError

if TYPE_CHECKING:
    from torch import nn

# As `model.architecture` names it -> the side, px, that its anchors are made for.
ARCHITECTURES = {"fasterrcnn_mobilenet_v3_large_320_fpn": 320}
ANCHORS = (32, 64, 128, 256, 512)  # px at that side
RATIOS = (0.5, 1.0, 2.0)
SMALLEST = 8.0  # px; smaller anchors than this find nothing on a grid of 16 px and more
LEVELS = 3
MOST_BOXES = 100  # per image, as COCO counts them
LOWEST_SCORE = 0.001
REGIONS = 128  # an image, that the second stage learns from: torchvision's 512 are for pictures of 800 px


def check_architecture(name: str) -> None:
    """Refuse an architecture that is not built here.

    Raises:
        UserError: naming it.
    """
    if name not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise UserError("no such architecture of torchvision", value=f"model.architecture={name}", remedy=known)


def build_network(architecture: str, classes: int, imgsz: int) -> nn.Module:
    """An untrained detector for `classes` classes (the background comes on top) and inputs of imgsz x imgsz px."""
    check_architecture(architecture)
    from torchvision.models import detection
    from torchvision.models.detection.anchor_utils import AnchorGenerator

    build: Any = getattr(detection, architecture)
    model = build(
        weights=None,
        weights_backbone=None,
        num_classes=classes + 1,
        box_score_thresh=LOWEST_SCORE,
        box_detections_per_img=MOST_BOXES,
        box_batch_size_per_image=REGIONS,
    )
    sizes = tuple(max(SMALLEST, a * imgsz / ARCHITECTURES[architecture]) for a in ANCHORS)
    model.rpn.anchor_generator = AnchorGenerator((sizes,) * LEVELS, (RATIOS,) * LEVELS)
    model.transform = _fixed_transform(model.transform)
    network: nn.Module = model
    return network


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
    """Parameters, and GFLOPs of one image: 2 for each multiplication with its addition, as Ultralytics counts.

    How many regions the second stage looks at depends on the weights; counted are those of the untrained network on
    noise, always the same ones.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_network(architecture, classes, imgsz).eval()
        x = torch.rand(1, 3, imgsz, imgsz)
        counter = FlopCounterMode(display=False)
        with torch.inference_mode(False), torch.no_grad(), counter:
            network(list(x))
    return sum(p.numel() for p in network.parameters()), counter.get_total_flops() / 1e9
