"""Precision, recall and F1 as the confidence threshold moves, and the threshold of best F1.

As Ultralytics does, the figures are means over the classes that have ground truth, at one threshold shared by all
classes and IoU 0.5; unlike it, the curve is exact (every distinct score is tried) and not smoothed. Detections on
regions to ignore don't count, so the threshold is tuned without them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from src.evaluate.matching import Floats, Ints, Matches
from src.evaluate.precision import ground_truths_per_class


@dataclass(frozen=True)
class Curve:
    """Means over classes when detections of at least `thresholds` count; by falling threshold."""

    thresholds: Floats  # [k] distinct scores
    precision: Floats  # [k]
    recall: Floats  # [k]
    f1: Floats  # [k]

    def at(self, threshold: float) -> tuple[float, float, float]:
        """Precision, recall and F1 when detections with a score of at least `threshold` count."""
        k = int(np.searchsorted(-self.thresholds, -threshold, side="right")) - 1
        if k < 0:
            return 0.0, 0.0, 0.0
        return float(self.precision[k]), float(self.recall[k]), float(self.f1[k])

    @property
    def best(self) -> int:
        """Position of the best F1; of equals the highest threshold. -1 when there are no detections."""
        return int(np.argmax(self.f1)) if len(self.f1) else -1


def curve(matches: Matches, column: int = 0) -> Curve:
    """The curve at IoU threshold number `column` (0 is IoU 0.5)."""
    totals = ground_truths_per_class(matches)
    use = (totals[matches.dets.classes] > 0) & ~matches.dropped[:, column]
    classes, scores = matches.dets.classes[use], matches.dets.scores[use]
    hit = (matches.matched[use, column] >= 0).astype(np.float64)
    starts = np.searchsorted(classes, np.arange(matches.n_classes))
    seen = np.arange(1, len(classes) + 1) - starts[classes]
    running = np.r_[0.0, np.cumsum(hit)]
    found = running[1:] - running[starts[classes]]
    n_classes = max(1, int(np.count_nonzero(totals)))
    values = (
        found / seen,
        found / totals[classes],
        2 * found / (seen + totals[classes]),
    )
    # A detection changes the figures of its own class only: add up the changes in order of falling score.
    order = np.argsort(-scores, kind="stable")
    last = np.r_[np.diff(scores[order]) != 0, True][: len(order)]
    sums = [np.cumsum(_changes(v, seen)[order])[last] / n_classes for v in values]
    return Curve(scores[order][last], *sums)


def _changes(values: Floats, seen: Ints) -> Floats:
    """By how much each detection moves its class's figure; the first one starts from 0."""
    return values - np.where(seen == 1, 0.0, np.r_[0.0, values[:-1]][: len(values)])
