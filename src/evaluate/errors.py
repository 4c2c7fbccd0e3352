"""What goes wrong: every false positive and every missed object put into one of six kinds.

The kinds and their order are those of TIDE (Bolya et al. 2020), at IoU 0.5 with a background limit of 0.1:
localisation (right class, box too far off), class (right box, wrong class), duplicate, background, both (box and
class off), and missed (a truth that no detection found, misplaced or misnamed). Kinds count boxes; how many *objects*
went by a wrong name is told by `confusions`. Detections on regions to ignore are no errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from src.evaluate.confusion import Pair, names_of
from src.evaluate.matching import Bools, Boxes, Floats, Ints, Matches
from src.evaluate.tables import join_pairs

FOREGROUND, BACKGROUND = 0.5, 0.1
KINDS = ("localisation", "class", "duplicate", "background", "both", "missed")


@dataclass(frozen=True)
class Errors:
    """Counts of errors among detections of at least `threshold`."""

    threshold: float
    true_positives: int
    counts: dict[str, int]  # by kind
    confusions: list[Pair]  # objects that were only misnamed, by class and called class; the most frequent first
    also_called: list[Pair]  # boxes of another class over objects that were found rightly too
    matrix: Ints  # [n_classes + 1, n_classes + 1] objects by class, and background; called class, and missed
    ignored: int  # detections on regions to ignore
    mean_iou: float  # of true positives; NaN when there are none
    detections_per_image: float


@dataclass(frozen=True)
class _Overlaps:
    """The largest IoU of each false positive with a truth of its class, and of another class."""

    same: Floats
    same_ground_truth: Ints
    other: Floats
    other_truth: Ints


def split_errors(matches: Matches, threshold: float) -> Errors:
    """Sort the errors of detections with a score of at least `threshold`."""
    dets, matched = matches.dets, matches.matched[:, 0]
    kept = dets.scores >= threshold
    hits = kept & (matched >= 0)
    ignored = kept & matches.dropped[:, 0]
    wrong = dets.take(kept & (matched < 0) & ~ignored)
    near = _overlaps(wrong, matches.ground_truths)
    kinds, blamed = _kinds(near)
    counts = {kind: int(np.count_nonzero(kinds == i)) for i, kind in enumerate(KINDS)}
    found = np.zeros(len(matches.ground_truths), dtype=bool)
    found[matched[hits]] = True
    misnamed = np.where(kinds == KINDS.index("class"), blamed, -1)
    names = names_of(matches.ground_truths, found, wrong, misnamed, FOREGROUND, matches.n_classes)
    seen = found.copy()
    seen[blamed[blamed >= 0]] = True
    counts["missed"] = int(np.count_nonzero(~seen))
    return Errors(
        threshold=threshold,
        true_positives=int(np.count_nonzero(hits)),
        counts=counts,
        confusions=names.confusions,
        also_called=names.also_called,
        matrix=names.matrix,
        ignored=int(np.count_nonzero(ignored)),
        mean_iou=float(matches.ious[hits, 0].mean()) if hits.any() else float("nan"),
        detections_per_image=float(np.count_nonzero(kept)) / max(1, matches.n_images),
    )


def _overlaps(wrong: Boxes, ground_truths: Boxes) -> _Overlaps:
    det, gt, overlap = join_pairs(wrong, ground_truths, wrong.images, ground_truths.images, BACKGROUND)
    same = wrong.classes[det] == ground_truths.classes[gt]
    return _Overlaps(*_largest(len(wrong), det, gt, overlap, same), *_largest(len(wrong), det, gt, overlap, ~same))


def _largest(n: int, det: Ints, gt: Ints, overlap: Floats, use: Bools) -> tuple[Floats, Ints]:
    """The largest IoU [n] of each detection among the pairs in `use`, and the truth it is with (-1 = none)."""
    value, ground_truth = np.zeros(n), np.full(n, -1, dtype=np.int64)
    order = np.argsort(overlap[use], kind="stable")  # of several assignments to one place the last one stays
    value[det[use][order]] = overlap[use][order]
    ground_truth[det[use][order]] = gt[use][order]
    return value, ground_truth


def _kinds(near: _Overlaps) -> tuple[Ints, Ints]:
    """The kind of each false positive, and the truth that a misplaced or misnamed one was after (-1 = none)."""
    conditions = [
        (near.same >= BACKGROUND) & (near.same < FOREGROUND),
        near.other >= FOREGROUND,
        near.same >= FOREGROUND,
        np.maximum(near.same, near.other) < BACKGROUND,
    ]
    kinds = np.select(conditions, [KINDS.index(k) for k in KINDS[:4]], KINDS.index("both")).astype(np.int64)
    blamed = np.select(conditions[:2], [near.same_ground_truth, near.other_truth], -1).astype(np.int64)
    return kinds, blamed
