"""Networks by their architecture: built without weights, and counted."""

from __future__ import annotations

import copy
from typing import Any

from src.models import flops


def build_network(yaml: str, classes: int) -> Any:
    """An untrained detector of an architecture file that Ultralytics ships."""
    from ultralytics.nn.tasks import DetectionModel, RTDETRDetectionModel

    build: Any = RTDETRDetectionModel if yaml.startswith("rtdetr") else DetectionModel
    return build(yaml, nc=classes, verbose=False)


_sizes: dict[tuple[str, int], tuple[int, float]] = {}


def size_of(network: Any, imgsz: int) -> tuple[int, float]:
    """Parameters, and GFLOPs at an image size. Counting takes as long as a batch: trials of a sweep share it."""
    key = (str(network.yaml), imgsz)
    if key not in _sizes:
        import torch

        weights = next(network.parameters())
        x = torch.zeros(1, 3, imgsz, imgsz, dtype=weights.dtype, device=weights.device)
        _sizes[key] = flops.size_of(copy.deepcopy(network).eval(), lambda module: module(x))
    return _sizes[key]
