"""COCO's further figures: average recall by number of detections, and AP and AR by object size.

For a size range COCO leaves out truths of other sizes: a detection that matches one of them counts neither for nor
against, and neither does an unmatched detection of another size (pycocotools `evaluateImg`).
"""

from __future__ import annotations

import numpy as np

from src.evaluate.matching import Bools, Floats, Matches, assign
from src.evaluate.precision import average_precision, mean_of

SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}  # area in px²
LIMITS = (1, 10, 100)  # detections per image and class


def coco_figures(matches: Matches) -> dict[str, float]:
    """AR@1/10/100, and AP and AR@100 by size, in 0..1; NaN where there are no such truths.

    `matches` must hold at least 100 detections per image and class (the default).
    """
    everything = np.ones(len(matches.truths), dtype=bool)
    figures = {f"AR@{k}": _recall(matches, matches.matched, everything, k) for k in LIMITS}
    for name, (low, high) in SIZES.items():
        areas = matches.truths.areas
        inside = (areas >= low) & (areas <= high)
        matched, _ = assign(matches.dets, matches.ranks, matches.truths, matches.thresholds, ignored=~inside)
        figures[f"AP-{name}"] = _precision(matches, matched, inside, (low, high))
        figures[f"AR-{name}"] = _recall(matches, matched, inside, LIMITS[-1])
    return figures


def _recall(matches: Matches, matched: np.ndarray, inside: Bools, limit: int) -> float:
    """Mean over classes and thresholds of the share of truths `inside` that the first `limit` detections find."""
    totals = np.bincount(matches.truths.classes[inside], minlength=matches.n_classes)
    first = matches.ranks < limit
    hits = (matched >= 0) & first[:, None]
    hits &= inside[matched] if len(inside) else False
    found = np.zeros((matches.n_classes, matched.shape[1]))
    np.add.at(found, matches.dets.classes, hits)
    known = totals > 0
    return mean_of(found[known] / totals[known][:, None])


def _precision(matches: Matches, matched: np.ndarray, inside: Bools, area: tuple[float, float]) -> float:
    totals = np.bincount(matches.truths.classes[inside], minlength=matches.n_classes)
    areas = matches.dets.areas
    fits = (areas >= area[0]) & (areas <= area[1])
    hits = (matched >= 0) & (inside[matched] if len(inside) else False)
    counted = hits | ((matched < 0) & fits[:, None])
    bounds = np.searchsorted(matches.dets.classes, np.arange(matches.n_classes + 1))
    table: Floats = np.full((matches.n_classes, matched.shape[1]), np.nan)
    for c in np.flatnonzero(totals):
        rows = slice(bounds[c], bounds[c + 1])
        table[c] = [average_precision(hits[rows, t], counted[rows, t], int(totals[c])) for t in range(matched.shape[1])]
    return mean_of(table)
