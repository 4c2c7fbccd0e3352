"""Resampled images: the matches stay as they are, only the images' weights change.

A resample counts each image some number of times. Matching happens within images, so it is done once; a resample is a
weighted precision-recall curve, and copies of an image lie side by side in it. One seed gives one set of resamples:
two models judged on the same images share them, and their differences are paired. `src.evaluate.intervals` makes
intervals of them.
"""

from __future__ import annotations

import numpy as np

from src.evaluate.matching import Floats, Ints, Matches
from src.evaluate.precision import RECALL_POINTS

RESAMPLES = 1000
SEED = 20261121
_CHUNK = 4_000_000  # weights held at once


def image_weights(n_images: int, n: int = RESAMPLES, seed: int = SEED, groups: Ints | None = None) -> Ints:
    """How often each image is drawn [n, n_images].

    Args:
        n_images: number of images.
        n: number of resamples; fewer are the first of more.
        seed: of the draws.
        groups: [n_images] any number for each image; images of equal number are drawn together, as many groups as
            there are. None: every image for itself.
    """
    rng = np.random.default_rng(seed)
    names, member = np.unique(np.arange(n_images) if groups is None else groups, return_inverse=True)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / max(len(names), 1)), size=n).astype(np.int64)
    return np.asarray(drawn[:, member])


def mean_over_classes(table: Floats) -> Floats:
    """mAP [n, 2] from AP by class [n, n_classes, 2]: the mean over the classes that a resample drew."""
    known = np.isfinite(table).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known > 0, np.nansum(table, axis=1) / np.maximum(known, 1), np.nan))


def resample_classes(matches: Matches, weights: Ints) -> Floats:
    """AP50-95 and AP50 of every class in every resample [n, n_classes, 2]; NaN where none of its objects was drawn."""
    counts = np.zeros((matches.n_images, matches.n_classes))
    np.add.at(counts, (matches.ground_truths.images, matches.ground_truths.classes), 1)
    totals = weights @ counts  # [n, classes]
    bounds = np.searchsorted(matches.dets.classes, np.arange(matches.n_classes + 1))
    table = np.full((len(weights), matches.n_classes, 2), np.nan)
    for c in np.flatnonzero(counts.sum(axis=0)):
        rows = slice(bounds[c], bounds[c + 1])
        hits, dropped = matches.matched[rows] >= 0, matches.dropped[rows]
        ap = _class_ap(matches.dets.images[rows], hits, dropped, totals[:, c], weights)
        drawn = totals[:, c] > 0
        table[:, c] = np.where(drawn[:, None], ap, np.nan)
    return table


def _class_ap(images: Ints, hits: np.ndarray, dropped: np.ndarray, totals: Floats, weights: Ints) -> Floats:
    """AP over all thresholds and at the first one [n, 2] of one class, for every resample.

    Detections that are `dropped` (on a region to ignore) have no weight; there are few of them, or none.
    """
    found = np.flatnonzero(hits.any(axis=1))
    result = np.zeros((len(weights), 2))
    if not len(found):
        return result
    end = found[-1] + 1  # what comes after the last true positive changes nothing
    images, hits = images[:end], hits[:end]
    places = [np.flatnonzero(hits[:, t]) for t in range(hits.shape[1])]
    left_out = [np.flatnonzero(dropped[:end, t]) for t in range(hits.shape[1])]
    step = max(1, _CHUNK // end)
    for start in range(0, len(weights), step):
        part = slice(start, start + step)
        drawn = weights[part][:, images].astype(np.float64)
        seen = np.cumsum(drawn, axis=1)
        counted = [seen[:, p] - _weight_before(drawn, d, p) for p, d in zip(places, left_out, strict=True)]
        ap = np.stack([_ap(drawn[:, p], s, totals[part]) for p, s in zip(places, counted, strict=True)], axis=1)
        result[part, 0], result[part, 1] = ap.mean(axis=1), ap[:, 0]
    return result


def _weight_before(drawn: Floats, dropped: Ints, places: Ints) -> Floats | float:
    """Weight of the `dropped` detections that come before each of `places` [n, k]; 0 where there are none."""
    if not len(dropped):
        return 0.0
    sums = np.pad(np.cumsum(drawn[:, dropped], axis=1), ((0, 0), (1, 0)))
    return np.asarray(sums[:, np.searchsorted(dropped, places)])


def _ap(drawn: Floats, seen: Floats, totals: Floats) -> Floats:
    """Weighted AP [n] from the weights at true positives and all weight up to them, both [n, k]."""
    if not drawn.shape[1]:
        return np.zeros(len(drawn))
    found = np.cumsum(drawn, axis=1)
    precision = found / np.maximum(seen, 1)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = found / np.maximum(totals, 1)[:, None]
    levels = np.searchsorted(RECALL_POINTS, recall, side="right")
    # Recall 0 is reached before anything is found: images that were not drawn open the curve with weight 0.
    steps = np.diff(levels, axis=1, prepend=0)
    return np.asarray((envelope * steps).sum(axis=1) / len(RECALL_POINTS))
