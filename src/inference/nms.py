"""Suppression: of boxes that overlap, the best stays. It has no time limit: a slow machine finds the same boxes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from src.inference.types import Float

BLOCK = 64  # boxes that suppression compares at once: fewer calls of numpy, in memory that stays in the cache
TINY = 1e-7  # of Ultralytics' probiou


def suppress(boxes: Float, classes: NDArray[np.int64], iou: float, max_det: int) -> NDArray[np.int64]:
    """Greedy non-maximum suppression within each class, a block of the best boxes that are left at a time.

    Args:
        boxes: [n, 4] xyxy, best score first.
        classes: [n].
        iou: a box that overlaps a better one of its class by more than this goes.
        max_det: stop when so many are kept.

    Returns:
        Indices of the kept boxes, best first.
    """
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    turned = bool((area < 0).any())  # heads without a distribution may give boxes that end before they begin

    def covers(better: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which boxes [b] go because of which [a]: [a, b]."""
        a = better[:, None]
        x1, y1, x2, y2 = boxes.T
        width = np.minimum(x2[a], x2[others]) - np.maximum(x1[a], x1[others])
        height = np.minimum(y2[a], y2[others]) - np.maximum(y1[a], y1[others])
        overlap = np.maximum(width, 0) * np.maximum(height, 0)
        # No division: overlap / union > iou, with union = areas - overlap.
        union = area[a] + area[others] - overlap
        over = overlap > iou * union
        if turned:
            over &= union > 0
        return np.asarray(over & (classes[a] == classes[others]), np.bool_)

    left = np.arange(len(boxes))
    kept: list[int] = []
    while left.size and len(kept) < max_det:
        block, left = left[:BLOCK], left[BLOCK:]
        goes, free, best = covers(block, block), np.ones(len(block), np.bool_), []
        for i in range(len(block)):
            if free[i]:
                best.append(i)
                free &= ~goes[i]
        kept.extend(block[best].tolist())
        if left.size:
            left = left[~covers(block[best], left).any(axis=0)]
    return np.array(kept[:max_det], np.int64)


def suppress_rotated(boxes: Float, classes: NDArray[np.int64], iou: float, max_det: int) -> NDArray[np.int64]:
    """Suppression of boxes with an angle, as Ultralytics does it: a box goes if any better one of its class overlaps.

    The overlap is ProbIoU (Llerena et al., 2021): the boxes are taken for Gaussians. Unlike greedy suppression, a box
    that is gone itself still suppresses others (Fast NMS; Bolya et al., 2019).

    Args:
        boxes: [n, 5] centre x, y, width, height, angle in radians, best score first.
        classes: [n].
        iou: see above.
        max_det: stop when so many are kept.

    Returns:
        Indices of the kept boxes, best first.
    """
    kept: list[int] = []
    for start in range(0, len(boxes), BLOCK):
        stop = min(start + BLOCK, len(boxes))
        over = probiou(boxes[:stop], boxes[start:stop]) > iou
        over &= classes[:stop, None] == classes[None, start:stop]
        over &= np.arange(stop)[:, None] < np.arange(start, stop)[None, :]
        kept.extend((start + np.flatnonzero(~over.any(axis=0))).tolist())
        if len(kept) >= max_det:
            break
    return np.array(kept[:max_det], np.int64)


def probiou(a: Float, b: Float) -> Float:
    """Overlap of boxes with an angle, [n, 5] with [m, 5], as [n, m]."""
    (a1, b1, c1), (a2, b2, c2) = (_covariance(boxes) for boxes in (a, b))
    a1, b1, c1 = a1[:, None], b1[:, None], c1[:, None]
    dx, dy = a[:, None, 0] - b[None, :, 0], a[:, None, 1] - b[None, :, 1]
    spread = (a1 + a2) * (b1 + b2) - (c1 + c2) ** 2
    t1 = ((a1 + a2) * dy**2 + (b1 + b2) * dx**2) / (spread + TINY) * 0.25
    t2 = (c1 + c2) * -dx * dy / (spread + TINY) * 0.5
    sizes = np.clip(a1 * b1 - c1**2, 0, None) * np.clip(a2 * b2 - c2**2, 0, None)
    t3 = np.log(spread / (4 * np.sqrt(sizes) + TINY) + TINY) * 0.5
    distance = np.clip(t1 + t2 + t3, TINY, 100.0)
    return np.asarray(1 - np.sqrt(1 - np.exp(-distance) + TINY), np.float32)


def _covariance(boxes: Float) -> tuple[Float, Float, Float]:
    """Of the Gaussians that stand for boxes [n, 5]: [[a, c], [c, b]]."""
    wide, high = boxes[:, 2] ** 2 / 12, boxes[:, 3] ** 2 / 12
    cos, sin = np.cos(boxes[:, 4]), np.sin(boxes[:, 4])
    skew = np.asarray((wide - high) * cos * sin, np.float32)
    return wide * cos**2 + high * sin**2, wide * sin**2 + high * cos**2, skew


def enclosing(boxes: Float) -> Float:
    """The upright boxes [n, 4] xyxy around boxes with an angle [n, 5]."""
    cos, sin = np.abs(np.cos(boxes[:, 4])), np.abs(np.sin(boxes[:, 4]))
    wide, high = np.abs(boxes[:, 2]), np.abs(boxes[:, 3])
    half = np.stack([wide * cos + high * sin, wide * sin + high * cos], axis=1) / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1).astype(np.float32)
