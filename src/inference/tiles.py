"""Large pictures in tiles: an object that is a few px of the scaled-down picture is many px of a tile.

A picture is cut into overlapping windows, each goes through the detection path as a picture of its own, and so does the
whole, where large objects lie. Boxes are moved back and merged: an object in the overlap of two tiles is found twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from src.inference.detector import Detector
from src.inference.nms import suppress
from src.inference.types import Detections


@dataclass(frozen=True)
class Tiling:
    """How pictures are cut."""

    size: int  # side of a tile, px of the picture
    overlap: float = 0.2  # share of a tile that the next one repeats
    merge: str = "iou"  # boxes are one by their overlap as a share of: iou = the union, smaller = the smaller box


def starts(length: int, tiling: Tiling) -> list[int]:
    """Where tiles begin along a side of `length` px; the last one ends with the picture."""
    if length <= tiling.size:
        return [0]
    step = max(1, round(tiling.size * (1 - tiling.overlap)))
    found = list(range(0, length - tiling.size, step))
    return [*found, length - tiling.size]


class TiledDetector:
    """A detector that looks at a picture as a whole and tile by tile.

    Args:
        detector: for one tile; its thresholds hold for the merged boxes too.
        tiling: how pictures are cut.
    """

    def __init__(self, detector: Detector, tiling: Tiling) -> None:
        self.detector, self.tiling = detector, tiling

    def __call__(self, image: NDArray[np.uint8]) -> Detections:
        """Detections of a picture uint8 [h, w, 3], RGB, best score first, in its px."""
        height, width = image.shape[:2]
        size = self.tiling.size
        corners = [(x, y) for y in starts(height, self.tiling) for x in starts(width, self.tiling)]
        crops = [image[y : y + size, x : x + size] for x, y in corners]
        if len(crops) > 1:
            corners, crops = [(0, 0), *corners], [image, *crops]
        step = self.detector.input.batch or 1
        found: list[Detections] = []
        for a, b in pairwise([*range(0, len(crops), step), len(crops)]):
            found += self.detector([self.detector.prepare(np.ascontiguousarray(crop)) for crop in crops[a:b]])
        return found[0] if len(found) == 1 else self._merged(found, corners)

    def _merged(self, found: Sequence[Detections], corners: Sequence[tuple[int, int]]) -> Detections:
        moved = [d.boxes + np.array([x, y, x, y], np.float32) for d, (x, y) in zip(found, corners, strict=True)]
        boxes, scores = np.concatenate(moved), np.concatenate([d.scores for d in found])
        classes = np.concatenate([d.classes for d in found])
        order = np.argsort(-scores, kind="stable")
        boxes, scores, classes = boxes[order], scores[order], classes[order]
        limits = self.detector.thresholds
        if self.tiling.merge == "smaller":
            whole = without_parts(boxes, classes, limits.iou)
            boxes, scores, classes = boxes[whole], scores[whole], classes[whole]
        kept = suppress(boxes, classes, limits.iou, limits.max_det)
        return Detections(boxes[kept], scores[kept], classes[kept])


def without_parts(boxes: NDArray[np.float32], classes: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    """Indices of the boxes [n, 4], best score first, that share at most `share` of the smaller one with a better one.

    What the border of a tile cut lies within the whole object, where its IoU is low. A better box rules even where it
    is the smaller: of nested objects of one class only the surer stays.
    """
    area = np.maximum(boxes[:, 2] - boxes[:, 0], 0) * np.maximum(boxes[:, 3] - boxes[:, 1], 0)
    left, kept = np.arange(len(boxes)), []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(int(best))
        size = np.minimum(boxes[left, 2:], boxes[best, 2:]) - np.maximum(boxes[left, :2], boxes[best, :2])
        common = np.prod(np.maximum(size, 0), axis=1)
        goes = (common > share * np.minimum(area[left], area[best])) & (classes[left] == classes[best])
        left = left[~goes]
    return np.array(kept, np.int64)
