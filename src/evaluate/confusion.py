"""Which classes are taken for which, every object counted once.

A box of another class over an object says two different things. Where no box of the right class found the object, it
was misnamed: an error of the model that a user sees as a wrong name. Where one did, the object is only *also called*
something else: a box too many, which a higher threshold or suppression over all classes can remove.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from src.evaluate.matching import Bools, Boxes, Floats, Ints, assign

Pair = tuple[int, int, int]  # truth class, predicted class, count


@dataclass(frozen=True)
class Names:
    """What the objects were called."""

    confusions: list[Pair]  # objects that were only misnamed; the most frequent first
    also_called: list[Pair]  # boxes of another class over objects that were found rightly too
    matrix: Ints  # [n_classes + 1, n_classes + 1] objects by true class, called class; see `_matrix`


def names_of(ground_truths: Boxes, found: Bools, wrong: Boxes, near: Ints, limit: float, n_classes: int) -> Names:
    """Sort out the boxes of another class.

    Args:
        truths: the objects.
        found: [n] objects that a true positive found.
        wrong: the false positives.
        near: for each false positive the object of another class that it lies on best, -1 where it is no such error.
        limit: the IoU from which a box lies on an object.
        n_classes: number of classes.
    """
    named = near >= 0
    missed = np.flatnonzero(~found)
    # Each object takes one box, the one of the highest score first, whatever its class: COCO's rule, without classes.
    taken = _one_to_one(wrong.take(named), ground_truths.take(missed), limit)
    misnamed = np.full(len(wrong), -1, dtype=np.int64)
    misnamed[named] = np.where(taken >= 0, missed[taken] if len(missed) else -1, -1)
    confused = misnamed >= 0
    again = named & ~confused & (found[near] if len(found) else False)
    confusions = _pairs(ground_truths.classes[misnamed[confused]], wrong.classes[confused])
    return Names(
        confusions=confusions,
        also_called=_pairs(ground_truths.classes[near[again]], wrong.classes[again]),
        matrix=_matrix(ground_truths.classes, found, confusions, wrong.classes[~confused], n_classes),
    )


def _one_to_one(dets: Boxes, ground_truths: Boxes, limit: float) -> Ints:
    """The truth [n] that each detection takes, -1 = none; classes don't matter."""
    order = np.lexsort((-dets.scores, dets.images))
    ranks = np.empty(len(dets), dtype=np.int64)
    ranks[order] = np.arange(len(dets)) - np.searchsorted(dets.images[order], dets.images[order])
    limits: Floats = np.array([limit])
    matched, _ = assign(_nameless(dets), ranks, _nameless(ground_truths), limits)
    return matched[:, 0]


def _nameless(boxes: Boxes) -> Boxes:
    return replace(boxes, classes=np.zeros_like(boxes.classes))


def _pairs(true: Ints, called: Ints) -> list[Pair]:
    counts = Counter(zip(true.tolist(), called.tolist(), strict=True))
    return [(a, b, n) for (a, b), n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def _matrix(classes: Ints, found: Bools, confusions: list[Pair], extra: Ints, n_classes: int) -> Ints:
    """Objects by true class (rows) and by what they were called (columns).

    The last column holds the objects that were not found under any name, the last row (background) the boxes that stand
    for no object: a row adds up to the objects of its class, a column to the boxes of its class that count.
    """
    matrix = np.zeros((n_classes + 1, n_classes + 1), dtype=np.int64)
    right = np.bincount(classes[found], minlength=n_classes)
    matrix[np.arange(n_classes), np.arange(n_classes)] = right
    for true, called, count in confusions:
        matrix[true, called] = count
    matrix[:-1, -1] = np.bincount(classes, minlength=n_classes) - matrix[:-1, :-1].sum(axis=1)
    matrix[-1, :-1] = np.bincount(extra, minlength=n_classes)
    return matrix
