"""Average precision from cached matches, exactly as COCO accumulates it (101 recall points, precision made monotone).

Only true positives can raise the precision that lies at or right of a recall level, so the precision envelope is
computed at true positives alone; there are far fewer of them than detections.
"""

from __future__ import annotations

import numpy as np

from src.evaluate.matching import Bools, Floats, Ints, Matches

RECALL_POINTS: Floats = np.linspace(0.0, 1.0, 101)


def ground_truths_per_class(matches: Matches) -> Ints:
    """Number of ground-truth objects per class [n_classes]; regions to ignore are none."""
    return np.bincount(matches.ground_truths.classes, minlength=matches.n_classes)


def average_precision(hits: Bools, counted: Bools, n_ground_truths: int) -> float:
    """AP of one class at one threshold.

    Args:
        hits: [n] true positives, in order of falling score.
        counted: [n] detections that count at all (COCO leaves out those that matched an ignored truth).
        n_truths: number of truths; must be above 0.
    """
    place = np.flatnonzero(hits & counted)
    if not len(place):
        return 0.0
    found = np.arange(1, len(place) + 1)
    precision = found / np.cumsum(counted)[place]
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    levels = np.searchsorted(RECALL_POINTS, found / n_ground_truths, side="right")
    return float(np.sum(envelope * np.diff(levels, prepend=0)) / len(RECALL_POINTS))


def ap_table(matches: Matches) -> Floats:
    """AP [n_classes, T]; NaN for classes without ground truth."""
    totals = ground_truths_per_class(matches)
    table = np.full((matches.n_classes, len(matches.thresholds)), np.nan)
    bounds = np.searchsorted(matches.dets.classes, np.arange(matches.n_classes + 1))
    for c in np.flatnonzero(totals):
        rows = slice(bounds[c], bounds[c + 1])
        hits, counted = matches.matched[rows] >= 0, ~matches.dropped[rows]
        table[c] = [average_precision(hits[:, t], counted[:, t], int(totals[c])) for t in range(hits.shape[1])]
    return table


def mean_of(values: Floats) -> float:
    """Mean of what is not NaN; NaN when nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
