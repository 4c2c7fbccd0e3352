"""Match detections to ground truth by COCO's greedy rule, for all images, classes and IoU thresholds at once.

COCO's rule (pycocotools `evaluateImg`): within one image and class, detections take turns by falling score; each takes
the free truth of largest IoU that reaches the threshold. Only the turns must follow one another, so the loop here runs
over the turns (at most `max_dets`), and each turn serves every image, class and threshold in one numpy step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

IOU_THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)
MAX_DETS = 100  # COCO's limit, which it applies per image and class


class Truth(Protocol):
    """The objects of one image: `boxes` [n, 4] as x1, y1, x2, y2 in px, `classes` [n]."""

    @property
    def boxes(self) -> npt.NDArray[np.floating]: ...
    @property
    def classes(self) -> npt.NDArray[np.integer]: ...


class Detected(Truth, Protocol):
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

    def __len__(self) -> int:
        return len(self.classes)

    def take(self, index: npt.NDArray[np.generic]) -> Boxes:
        """The rows at `index` (positions or a mask)."""
        return Boxes(
            self.boxes[index],
            self.classes[index],
            self.images[index],
            self.scores[index],
        )

    @property
    def areas(self) -> Floats:
        """Areas [n] in px²."""
        return np.asarray((self.boxes[:, 2] - self.boxes[:, 0]) * (self.boxes[:, 3] - self.boxes[:, 1]))


@dataclass(frozen=True)
class Matches:
    """Detections ordered by class and falling score, each with what it matched; the cache behind every figure."""

    dets: Boxes
    truths: Boxes
    ranks: Ints  # [n] turn of the detection within its image and class, 0 = the highest score
    matched: Ints  # [n, T] index of the truth taken at each threshold, -1 = none
    ious: Floats  # [n, T] IoU with that truth, 0 = none
    thresholds: Floats  # [T]
    n_images: int
    n_classes: int


def flatten(items: Sequence[Truth], n_classes: int, *, scored: bool) -> Boxes:
    """Put per-image boxes into one table.

    Raises:
        ValueError: arrays of unequal length, a value that is not finite, or a class outside `0..n_classes-1`.
    """
    counts = [len(item.classes) for item in items]
    boxes = [np.asarray(item.boxes, dtype=np.float64).reshape(-1, 4) for item in items]
    scores = [
        np.asarray(getattr(item, "scores", np.empty(0))) if scored else np.ones(n)
        for item, n in zip(items, counts, strict=True)
    ]
    for image, (n, b, s) in enumerate(zip(counts, boxes, scores, strict=True)):
        if not n == len(b) == len(s):
            raise ValueError(f"image {image}: {len(b)} boxes, {len(s)} scores and {n} classes")
    table = Boxes(
        boxes=_join(boxes, np.empty((0, 4))),
        classes=_join([np.asarray(item.classes) for item in items], np.empty(0)).astype(np.int64),
        images=np.repeat(np.arange(len(items)), counts),
        scores=_join(scores, np.empty(0)).astype(np.float64),
    )
    if not (np.isfinite(table.boxes).all() and np.isfinite(table.scores).all()):
        raise ValueError("boxes and scores must be finite")
    if len(table) and not (table.classes.min() >= 0 and table.classes.max() < n_classes):
        raise ValueError(f"class {table.classes.min()}..{table.classes.max()} outside 0..{n_classes - 1}")
    return table


def _join(parts: list[npt.NDArray[np.generic]] | list[Floats], empty: Floats) -> Floats:
    return np.concatenate([p for p in parts if len(p)] or [empty]).astype(np.float64)


def match(
    detections: Sequence[Detected],
    truths: Sequence[Truth],
    n_classes: int,
    *,
    thresholds: Floats = IOU_THRESHOLDS,
    max_dets: int = MAX_DETS,
) -> Matches:
    """Match every image's detections to its truths.

    Args:
        detections: one item per image.
        truths: one item per image, in the same order.
        n_classes: number of classes.
        thresholds: IoU thresholds [T].
        max_dets: detections kept per image and class, the highest scores first.

    Raises:
        ValueError: unequal numbers of images, or malformed arrays.
    """
    if len(detections) != len(truths):
        raise ValueError(f"{len(detections)} images of detections but {len(truths)} of ground truth")
    dets = flatten(detections, n_classes, scored=True)
    gts = flatten(truths, n_classes, scored=False)
    dets, ranks = _rank(dets, max_dets)
    matched, ious = assign(dets, ranks, gts, thresholds)
    return Matches(dets, gts, ranks, matched, ious, thresholds, len(truths), n_classes)


def _rank(dets: Boxes, max_dets: int) -> tuple[Boxes, Ints]:
    """Order by class, falling score, image; the rank is the turn within image and class. Ties keep their order."""
    order = np.lexsort((-dets.scores, dets.classes, dets.images))
    table = dets.take(order)
    new = np.r_[True, (np.diff(table.images) != 0) | (np.diff(table.classes) != 0)][: len(table)]
    starts = np.flatnonzero(new)
    ranks = np.arange(len(table)) - np.repeat(starts, np.diff(np.r_[starts, len(table)]))
    table, ranks = table.take(ranks < max_dets), ranks[ranks < max_dets]
    order = np.lexsort((table.images, -table.scores, table.classes))
    return table.take(order), ranks[order]


def assign(
    dets: Boxes,
    ranks: Ints,
    truths: Boxes,
    thresholds: Floats,
    ignored: Bools | None = None,
) -> tuple[Ints, Floats]:
    """COCO's greedy assignment: truth index [n, T] (-1 = none) and its IoU [n, T].

    `ignored` [m] marks truths that are taken only when no other truth fits (COCO's rule for area ranges).
    """
    matched = np.full((len(dets), len(thresholds)), -1, dtype=np.int64)
    ious = np.zeros((len(dets), len(thresholds)))
    taken = np.zeros((len(truths), len(thresholds)), dtype=bool)
    limits = np.minimum(thresholds, 1 - 1e-10)
    pair_det, pair_gt, pair_iou = _pairs(dets, truths, float(limits.min()))
    order = np.lexsort((pair_gt, pair_det, ranks[pair_det]))
    pair_det, pair_gt, pair_iou = pair_det[order], pair_gt[order], pair_iou[order]
    turns = np.searchsorted(ranks[pair_det], np.arange(ranks.max(initial=-1) + 2))
    passes = [None] if ignored is None else [~ignored, ignored]
    for low, high in pairwise(turns):
        turn = slice(low, high)
        for allowed in passes:
            _take_turn(
                pair_det[turn],
                pair_gt[turn],
                pair_iou[turn],
                limits,
                allowed,
                taken,
                matched,
                ious,
            )
    return matched, ious


def _take_turn(
    det: Ints,
    gt: Ints,
    iou: Floats,
    limits: Floats,
    allowed: Bools | None,
    taken: Bools,
    matched: Ints,
    ious: Floats,
) -> None:
    """One turn: each detection in `det` takes its best free truth, at every threshold."""
    if not len(det):
        return
    free = (iou[:, None] >= limits) & ~taken[gt] & (matched[det] < 0)
    if allowed is not None:
        free &= allowed[gt][:, None]
    value = np.where(free, iou[:, None], -1.0)
    starts = np.flatnonzero(np.r_[True, np.diff(det) != 0])
    best = np.maximum.reduceat(value, starts, axis=0)
    groups = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(det)]))
    # Of equal IoUs COCO keeps the last one.
    position = np.where(free & (value == best[groups]), np.arange(len(det))[:, None], -1)
    winner = np.maximum.reduceat(position, starts, axis=0)
    group, column = np.nonzero(winner >= 0)
    pair = winner[group, column]
    matched[det[pair], column] = gt[pair]
    ious[det[pair], column] = iou[pair]
    taken[gt[pair], column] = True


def _pairs(dets: Boxes, truths: Boxes, least: float) -> tuple[Ints, Ints, Floats]:
    """Pairs of one image and class whose IoU is at least `least`: detection index, truth index, IoU."""
    classes = 1 + max(dets.classes.max(initial=0), truths.classes.max(initial=0))
    det_key, gt_key = (
        dets.images * classes + dets.classes,
        truths.images * classes + truths.classes,
    )
    return join_pairs(dets, truths, det_key, gt_key, least)


def join_pairs(dets: Boxes, truths: Boxes, det_key: Ints, gt_key: Ints, least: float) -> tuple[Ints, Ints, Floats]:
    """Pairs of equal key whose IoU is at least `least`: detection index, truth index, IoU."""
    order = np.argsort(gt_key, kind="stable")
    first = np.searchsorted(gt_key[order], det_key, side="left")
    count = np.searchsorted(gt_key[order], det_key, side="right") - first
    det = np.repeat(np.arange(len(dets)), count)
    offset = np.arange(len(det)) - np.repeat(np.cumsum(count) - count, count)
    gt = order[np.repeat(first, count) + offset]
    overlap = iou(dets.boxes[det], truths.boxes[gt])
    keep = overlap >= least
    return det[keep], gt[keep], overlap[keep]


def iou(a: Floats, b: Floats) -> Floats:
    """Intersection over union of paired boxes [n, 4]; 0 where the union is empty."""
    size = np.clip(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0, None)
    inter = size[:, 0] * size[:, 1]
    union = np.prod(a[:, 2:] - a[:, :2], axis=1) + np.prod(b[:, 2:] - b[:, :2], axis=1) - inter
    return np.asarray(np.divide(inter, union, out=np.zeros_like(inter), where=union > 0))
