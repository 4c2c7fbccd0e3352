"""Suppression as the user wants it: within classes, across classes, soft, or none. Pure numpy."""

from __future__ import annotations

from typing import Literal

import numpy as np

from src.inference import Detections, Float, suppress

Kind = Literal["class", "agnostic", "soft", "none"]
KINDS: tuple[Kind, ...] = ("class", "agnostic", "soft", "none")
SIGMA = 0.5  # of Soft-NMS, as in its paper


def agnostic(found: Detections, iou: float, max_det: int) -> Detections:
    """Greedy suppression that does not look at classes."""
    keep = suppress(found.boxes, np.zeros_like(found.classes), iou, max_det)
    return take(found, keep)


def soft(found: Detections, conf: float, max_det: int, sigma: float = SIGMA) -> Detections:
    """Soft-NMS with a Gaussian (Bodla et al., 2017): overlap lowers the score of a box of the same class.

    Args:
        found: candidates, best score first.
        conf: boxes whose score falls below this go.
        max_det: boxes to keep.
        sigma: width of the Gaussian; smaller is harsher.
    """
    scores, left = found.scores.astype(np.float64), np.arange(len(found.scores))
    kept: list[int] = []
    while left.size and len(kept) < max_det:
        best = int(left[np.argmax(scores[left])])
        if scores[best] < conf:
            break
        kept.append(best)
        left = left[left != best]
        overlap = overlaps(found.boxes[best], found.boxes[left]) * (found.classes[left] == found.classes[best])
        scores[left] *= np.exp(-(overlap**2) / sigma)
    order = np.array(kept, np.int64)
    return Detections(found.boxes[order], scores[order].astype(np.float32), found.classes[order])


def overlaps(box: Float, boxes: Float) -> Float:
    """IoU of one box [4] with others [n, 4], xyxy."""
    size = np.clip(np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2]), 0, None)
    common = size[:, 0] * size[:, 1]
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    union = (box[2] - box[0]) * (box[3] - box[1]) + areas - common
    return np.asarray(common / np.maximum(union, 1e-9), np.float32)


def take(found: Detections, index: np.ndarray) -> Detections:  # type: ignore[type-arg]
    """Some of the detections, by index or mask."""
    return Detections(found.boxes[index], found.scores[index], found.classes[index])
