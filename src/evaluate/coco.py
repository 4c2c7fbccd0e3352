"""COCO's further figures: average recall by number of detections, and AP and AR by object size.

For a size range COCO leaves out truths of other sizes: a detection that matches one of them counts neither for nor
against, and neither does an unmatched detection of another size (pycocotools `evaluateImg`). An object's size is the
area that was annotated (COCO: that of its outline), a detection's that of its box.
"""

from __future__ import annotations

import numpy as np

from src.evaluate.matching import Bools, Floats, Ints, Matches, assign
from src.evaluate.precision import average_precision, mean_of

SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}  # area in px²
LIMITS = (1, 10, 100)  # detections per image and class


def coco_figures(matches: Matches) -> dict[str, float]:
    """AR@1/10/100, and AP and AR@100 by size, in 0..1; NaN where there are no such truths.

    `matches` must hold at least 100 detections per image and class (the default).
    """
    everything = np.ones(len(matches.ground_truths), dtype=bool)
    figures = {f"AR@{k}": _recall(matches, matches.matched >= 0, everything, k) for k in LIMITS}
    for name, size in SIZES.items():
        inside = _within(matches.ground_truths.areas, size)
        hits, counted = _sized(matches, inside, size)
        figures[f"AP-{name}"] = _precision(matches, hits, counted, inside)
        figures[f"AR-{name}"] = _recall(matches, hits, inside, LIMITS[-1])
    return figures


def _within(areas: Floats, size: tuple[float, float]) -> Bools:
    return (areas >= size[0]) & (areas <= size[1])


def _sized(matches: Matches, inside: Bools, size: tuple[float, float]) -> tuple[Bools, Bools]:
    """Which detections are right, and which count at all [n, T], when only the truths `inside` are to be found."""
    ground_truths = matches.ground_truths.join(matches.regions)
    wanted = np.r_[inside, np.zeros(len(matches.regions), dtype=bool)]
    matched, _ = assign(matches.dets, matches.ranks, ground_truths, matches.thresholds, ignored=~wanted)
    hits = (matched >= 0) & (wanted[matched] if len(wanted) else False)
    return hits, hits | ((matched < 0) & _within(matches.dets.areas, size)[:, None])


def _recall(matches: Matches, hits: Bools, inside: Bools, limit: int) -> float:
    """Mean over classes and thresholds of the share of truths `inside` that the first `limit` detections find."""
    totals = _totals(matches, inside)
    found = np.zeros((matches.n_classes, hits.shape[1]))
    np.add.at(found, matches.dets.classes, hits & (matches.ranks < limit)[:, None])
    known = totals > 0
    return mean_of(found[known] / totals[known][:, None])


def _precision(matches: Matches, hits: Bools, counted: Bools, inside: Bools) -> float:
    totals = _totals(matches, inside)
    bounds = np.searchsorted(matches.dets.classes, np.arange(matches.n_classes + 1))
    table: Floats = np.full((matches.n_classes, hits.shape[1]), np.nan)
    for c in np.flatnonzero(totals):
        rows = slice(bounds[c], bounds[c + 1])
        table[c] = [average_precision(hits[rows, t], counted[rows, t], int(totals[c])) for t in range(hits.shape[1])]
    return mean_of(table)


def _totals(matches: Matches, inside: Bools) -> Ints:
    return np.bincount(matches.ground_truths.classes[inside], minlength=matches.n_classes)
