"""Networks by their architecture: built without weights, and counted."""

from __future__ import annotations

from typing import Any


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
        from ultralytics.utils.torch_utils import get_flops, get_num_params

        _sizes[key] = int(get_num_params(network)), float(get_flops(network, imgsz))
    return _sizes[key]
