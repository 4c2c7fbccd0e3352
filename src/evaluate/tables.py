"""Boxes of many images as one table of arrays: what matching works on.

Ground truth may hold regions to ignore beside its objects, of two kinds that the references treat differently. A
`crowd` (COCO's `iscrowd`) has no end that a box could fit: overlap with it is the share of the detection inside. What
is `difficult` (VOC) is one object, with the plain IoU. Neither counts as an object, and any number of detections may
lie on one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class GroundTruth(Protocol):
    """The objects of one image: `boxes` [n, 4] as x1, y1, x2, y2 in px, `classes` [n].

    Four attributes may come with them: `areas` [n] in px² (without them, those of the boxes), and regions to ignore as
    `ignored` [m, 4], `ignored_classes` [m] and `ignored_crowd` [m] (without it, all are crowds).
    """

    @property
    def boxes(self) -> npt.NDArray[np.floating]: ...
    @property
    def classes(self) -> npt.NDArray[np.integer]: ...


class Detected(GroundTruth, Protocol):
    """The detections of one image: as `Truth`, with `scores` [n]."""

    @property
    def scores(self) -> npt.NDArray[np.floating]: ...


@dataclass(frozen=True)
class Boxes:
    """Boxes of many images in one table; ground truth has scores of 1."""

    boxes: Floats  # [n, 4] x1, y1, x2, y2 in px
    classes: Ints  # [n]
    images: Ints  # [n] index of the image
    scores: Floats  # [n]
    areas: Floats  # [n] px²; of the object's outline where it was annotated, else of the box
    ignored: Bools  # [n] a region to ignore, no object
    crowd: Bools  # [n] such a region without an end of its own

    def __len__(self) -> int:
        return len(self.classes)

    def take(self, index: npt.NDArray[np.generic]) -> Boxes:
        """The rows at `index` (positions or a mask)."""
        return Boxes(**{name: column[index] for name, column in vars(self).items()})

    def join(self, other: Boxes) -> Boxes:
        """These rows, then those of `other`."""
        return Boxes(**{name: np.concatenate([column, vars(other)[name]]) for name, column in vars(self).items()})


@dataclass(frozen=True)
class _Rows:
    """What of one image goes into a table."""

    boxes: Floats
    classes: Ints
    scores: Floats
    areas: Floats
    ignored: Bools
    crowd: Bools


def flatten_detections(items: Sequence[Detected], n_classes: int) -> Boxes:
    """Put detections into one table.

    Raises:
        ValueError: arrays of unequal length, a value that is not finite, or a class outside `0..n_classes-1`.
    """
    rows = [_rows(i.boxes, i.classes, i.scores, None, False, False) for i in items]
    return _table(rows, n_classes)


def flatten_ground_truth(items: Sequence[GroundTruth], n_classes: int) -> tuple[Boxes, Boxes]:
    """Put ground truth into one table of objects and one of regions to ignore.

    Raises:
        ValueError: arrays of unequal length, a value that is not finite, or a class outside `0..n_classes-1`.
    """
    objects = [_rows(i.boxes, i.classes, None, getattr(i, "areas", None), False, False) for i in items]
    regions = [_rows(*regions_of(i)[:2], None, None, True, regions_of(i)[2]) for i in items]
    return _table(objects, n_classes), _table(regions, n_classes)


def regions_of(item: GroundTruth) -> tuple[Floats, Ints, Bools]:
    """Regions to ignore of one image: boxes [m, 4], classes [m] and whether each is a crowd [m]."""
    boxes = np.asarray(getattr(item, "ignored", np.empty((0, 4))), dtype=np.float64).reshape(-1, 4)
    classes = np.asarray(getattr(item, "ignored_classes", np.empty(0)), dtype=np.int64)
    return boxes, classes, np.asarray(getattr(item, "ignored_crowd", np.ones(len(classes))), dtype=bool)


def areas_of(boxes: Floats) -> Floats:
    """Areas [n] of boxes [n, 4] in px²."""
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def _rows(boxes: Any, classes: Any, scores: Any, areas: Any, ignored: bool, crowd: Any) -> _Rows:
    corners, labels = np.asarray(boxes, dtype=np.float64).reshape(-1, 4), np.asarray(classes).astype(np.int64)
    n = len(labels)
    return _Rows(
        boxes=corners,
        classes=labels,
        scores=np.ones(n) if scores is None else np.asarray(scores, dtype=np.float64),
        areas=areas_of(corners) if areas is None else np.asarray(areas, dtype=np.float64),
        ignored=np.full(n, ignored),
        crowd=np.full(n, crowd) if isinstance(crowd, bool) else np.asarray(crowd, dtype=bool),
    )


def _table(rows: Sequence[_Rows], n_classes: int) -> Boxes:
    for image, row in enumerate(rows):
        lengths = {name: len(column) for name, column in vars(row).items()}
        if len(set(lengths.values())) > 1:
            said = ", ".join(f"{n} {name}" for name, n in lengths.items() if name != "ignored")
            raise ValueError(f"image {image}: arrays of unequal length ({said})")
    nothing = _rows(np.empty((0, 4)), np.empty(0), None, None, False, False)
    columns = {name: np.concatenate([vars(row)[name] for row in [nothing, *rows]]) for name in vars(nothing)}
    table = Boxes(images=np.repeat(np.arange(len(rows)), [len(row.classes) for row in rows]), **columns)
    if not all(np.isfinite(values).all() for values in (table.boxes, table.scores, table.areas)):
        raise ValueError("boxes, scores and areas must be finite")
    if len(table) and not (table.classes.min() >= 0 and table.classes.max() < n_classes):
        raise ValueError(f"class {table.classes.min()}..{table.classes.max()} outside 0..{n_classes - 1}")
    return table


def join_pairs(
    dets: Boxes, ground_truths: Boxes, det_key: Ints, gt_key: Ints, least: float
) -> tuple[Ints, Ints, Floats]:
    """Pairs of equal key that overlap by at least `least`: detection index, truth index, overlap."""
    order = np.argsort(gt_key, kind="stable")
    first = np.searchsorted(gt_key[order], det_key, side="left")
    count = np.searchsorted(gt_key[order], det_key, side="right") - first
    det = np.repeat(np.arange(len(dets)), count)
    offset = np.arange(len(det)) - np.repeat(np.cumsum(count) - count, count)
    gt = order[np.repeat(first, count) + offset]
    shared = overlap(dets.boxes[det], ground_truths.boxes[gt], ground_truths.crowd[gt])
    keep = shared >= least
    return det[keep], gt[keep], shared[keep]


def overlap(dets: Floats, ground_truths: Floats, crowd: Bools) -> Floats:
    """Overlap of paired boxes [n, 4]: intersection over union, with a crowd over the detection's area; 0 of nothing."""
    size = np.clip(
        np.minimum(dets[:, 2:], ground_truths[:, 2:]) - np.maximum(dets[:, :2], ground_truths[:, :2]), 0, None
    )
    inter = size[:, 0] * size[:, 1]
    own = areas_of(dets)
    whole = np.where(crowd, own, own + areas_of(ground_truths) - inter)
    return np.asarray(np.divide(inter, whole, out=np.zeros_like(inter), where=whole > 0))
