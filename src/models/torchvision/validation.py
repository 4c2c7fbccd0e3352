"""Accuracy on val after an epoch, by the product's own evaluation: comparable with every other family's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from src.evaluate import match, summarise
from src.evaluate.thresholds import Curve, curve
from src.inference import Detections
from src.models.torchvision.images import Fitted, Images
from src.records.schema import DatasetRef

KeepCurve = Callable[[Curve], None]
NAMES = ("mAP50-95", "mAP50", "precision", "recall", "f1")
BATCH = 16


def validate(
    network: Any, images: Images, dataset: DatasetRef, device: Any, keep: KeepCurve | None = None
) -> dict[str, float]:
    """`val/…` of a network; figures that val can't give (no objects) count as 0.

    Args:
        network: in any mode.
        images: of val.
        dataset: names its classes.
        device: that the network is on.
        keep: told of precision, recall and F1 by threshold.

    Raises:
        FloatingPointError: a box or a score is not finite.
    """
    found: list[Detections] = []
    for begin in range(0, len(images), BATCH):
        found += _detect(network, [images[i] for i in range(begin, min(begin + BATCH, len(images)))], device)
    matches = match(found, images.samples, len(dataset.class_names))
    if keep is not None:
        keep(curve(matches))
    figures = summarise(matches).as_dict()
    return {f"val/{name}": float(np.nan_to_num(figures[name])) for name in NAMES}


def _detect(network: Any, items: list[Fitted], device: Any) -> list[Detections]:
    import torch

    with torch.inference_mode():
        inputs = [torch.from_numpy(item.pixels).to(device).float() / 255 for item in items]
        answers = network.eval()(inputs)
    return [_in_image(item, answer) for item, answer in zip(items, answers, strict=True)]


def _in_image(item: Fitted, answer: dict[str, Any]) -> Detections:
    boxes = answer["boxes"].cpu().numpy().astype(np.float32)
    classes = answer["labels"].cpu().numpy().astype(np.int64) - 1
    scores = answer["scores"].cpu().numpy().astype(np.float32)
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise FloatingPointError("a box or a score is not finite")
    return Detections(item.transform.to_image(boxes), scores, classes)
