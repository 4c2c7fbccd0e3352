"""Match detections to ground truth by COCO's greedy rule, for all images, classes and IoU thresholds at once.

COCO's rule (pycocotools `evaluateImg`): within one image and class, detections take turns by falling score; each takes
the free truth of largest IoU that reaches the threshold. Only the turns must follow one another, so the loop here runs
over the turns (at most `max_dets`), and each turn serves every image, class and threshold in one numpy step.

A detection for which no object is left, but which lies on a region to ignore, is neither right nor wrong: `dropped`.
So it is for COCO's crowds and for VOC's `difficult` objects, each by its own overlap. (VOC's development kit looks at
the one object of largest overlap, difficult or not; here COCO's order holds for both, and objects come first.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from src.evaluate.tables import (
    Bools,
    Boxes,
    Detected,
    Floats,
    GroundTruth,
    Ints,
    flatten_detections,
    flatten_ground_truth,
    join_pairs,
)

__all__ = [
    "IOU_THRESHOLDS",
    "MAX_DETS",
    "Bools",
    "Boxes",
    "Detected",
    "Floats",
    "GroundTruth",
    "Ints",
    "Matches",
    "assign",
    "match",
]

IOU_THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)
MAX_DETS = 100  # COCO's limit, which it applies per image and class


@dataclass(frozen=True)
class Matches:
    """Detections ordered by class and falling score, each with what it matched; the cache behind every figure."""

    dets: Boxes
    ground_truths: Boxes  # the objects to find
    regions: Boxes  # the regions to ignore
    ranks: Ints  # [n] turn of the detection within its image and class, 0 = the highest score
    matched: Ints  # [n, T] index of the truth taken at each threshold, -1 = none
    ious: Floats  # [n, T] IoU with that truth, 0 = none
    dropped: Bools  # [n, T] took no truth, and lies on a region to ignore: it counts neither way
    thresholds: Floats  # [T]
    n_images: int
    n_classes: int


def match(
    detections: Sequence[Detected],
    ground_truths: Sequence[GroundTruth],
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
    if len(detections) != len(ground_truths):
        raise ValueError(f"{len(detections)} images of detections but {len(ground_truths)} of ground truth")
    dets, ranks = _rank(flatten_detections(detections, n_classes), max_dets)
    objects, regions = flatten_ground_truth(ground_truths, n_classes)
    taken, overlaps = assign(dets, ranks, objects.join(regions), thresholds)
    dropped = taken >= len(objects)
    return Matches(
        dets=dets,
        ground_truths=objects,
        regions=regions,
        ranks=ranks,
        matched=np.where(dropped, -1, taken),
        ious=np.where(dropped, 0.0, overlaps),
        dropped=dropped,
        thresholds=thresholds,
        n_images=len(ground_truths),
        n_classes=n_classes,
    )


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
    ground_truths: Boxes,
    thresholds: Floats,
    ignored: Bools | None = None,
) -> tuple[Ints, Floats]:
    """COCO's greedy assignment: truth index [n, T] (-1 = none) and its overlap [n, T].

    Truths that are `ignored` are taken only when no other fits, by any number of detections. The argument `ignored` [m]
    marks further ones that are taken only then, but once (COCO's rule for area ranges).
    """
    matched = np.full((len(dets), len(thresholds)), -1, dtype=np.int64)
    ious = np.zeros((len(dets), len(thresholds)))
    taken = np.zeros((len(ground_truths), len(thresholds)), dtype=bool)
    limits = np.minimum(thresholds, 1 - 1e-10)
    pair_det, pair_gt, pair_iou = _pairs(dets, ground_truths, float(limits.min()))
    order = np.lexsort((pair_gt, pair_det, ranks[pair_det]))
    pair_det, pair_gt, pair_iou = pair_det[order], pair_gt[order], pair_iou[order]
    turns = np.searchsorted(ranks[pair_det], np.arange(ranks.max(initial=-1) + 2))
    last = ground_truths.ignored if ignored is None else ground_truths.ignored | ignored
    passes = [~last, last] if last.any() else [None]
    for low, high in pairwise(turns):
        turn = slice(low, high)
        for allowed in passes:
            _take_turn(
                pair_det[turn],
                pair_gt[turn],
                pair_iou[turn],
                limits,
                allowed,
                ground_truths.ignored,
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
    shared: Bools,
    taken: Bools,
    matched: Ints,
    ious: Floats,
) -> None:
    """One turn: each detection in `det` takes its best free truth, at every threshold; `shared` ones stay free."""
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
    taken[gt[pair], column] = ~shared[gt[pair]]


def _pairs(dets: Boxes, ground_truths: Boxes, least: float) -> tuple[Ints, Ints, Floats]:
    """Pairs of one image and class that overlap by at least `least`: detection index, truth index, overlap."""
    classes = 1 + max(dets.classes.max(initial=0), ground_truths.classes.max(initial=0))
    det_key, gt_key = (
        dets.images * classes + dets.classes,
        ground_truths.images * classes + ground_truths.classes,
    )
    return join_pairs(dets, ground_truths, det_key, gt_key, least)
