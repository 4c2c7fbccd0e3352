"""Likely label errors and hard images, from detections of networks that were not trained on the images.

What a network and the labels disagree on is an error of one of them. How often the network is the one is read off its
other detections: among detections of about this score, the share that disagrees in the same way. A disagreement that
is rare at its score speaks for the labels' error, a common one for the network's:

    odds = PRIOR · (1 - rate) / rate

with a prior share of wrong labels that only sets the scale. Four kinds, which have their names from the mistake that a
labeller would have made: an object that was overlooked (`missing`), a wrong class (`class`), a box too far off (`box`),
and a box on nothing (`extra`). Several networks are averaged, so that the noise of one training doesn't fill the list.
The idea of scoring these kinds apart is that of ObjectLab (Tkachenko, Thyagarajan, Mueller 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from src.evaluate.matching import Detected, Floats, GroundTruth, Ints, match
from src.evaluate.tables import areas_of
from src.evaluate.thresholds import curve

KINDS = ("missing", "class", "box", "extra")
PRIOR = 0.02  # share of labels that are taken to be wrong: of the scale, not of the order
ON, NEAR = 0.5, 0.1  # IoU from which a box lies on an object, and from which it is near one
FAINT = 0.01  # scores below say nothing
NEIGHBOURS = 25  # detections on either side whose disagreements make a rate


@dataclass(frozen=True)
class Suspect:
    """A label that is likely wrong, or lacking."""

    image: int  # index in the split
    kind: str  # one of KINDS
    suspicion: float  # 0..1, averaged over the networks
    box: tuple[float, float, float, float]  # px: of the label; of the detections where there is no label
    label: int  # class that the label has; -1 where there is none
    seen: int  # class that the networks see; -1 where they see nothing
    score: float  # the highest score of what they see; 0 where they see nothing
    seen_box: tuple[float, float, float, float] | None  # what they see, px


@dataclass(frozen=True)
class Hard:
    """An image that networks fail on, whatever its labels."""

    image: int
    errors: float  # mean share of wrong answers: missed and false ones, of all at the best threshold
    missed: float  # objects, mean over the networks
    false: float  # detections


@dataclass(frozen=True)
class _Image:
    """One network's view of one image: detections by falling score, and how they lie to the labels."""

    boxes: Floats
    classes: Ints
    scores: Floats
    ious: Floats  # [detections, labels]
    same: np.ndarray  # [detections, labels] equal classes
    ignored: np.ndarray  # [detections] on a region to ignore


def suspects(
    found: Sequence[Sequence[Detected]], ground_truths: Sequence[GroundTruth], n_classes: int
) -> tuple[list[Suspect], list[Hard]]:
    """Likely label errors, the most suspicious first, and hard images, the hardest first.

    Args:
        found: for each network, its detections of every image.
        ground_truths: of the images, in the same order.
        n_classes: number of classes.
    """
    views = [[_view(d, g) for d, g in zip(one, ground_truths, strict=True)] for one in found]
    rated = [_rated(images, ground_truths, n_classes) for images in views]
    listed = [s for i in range(len(ground_truths)) for s in _merged(i, [r[i] for r in rated])]
    return sorted(listed, key=lambda s: -s.suspicion), _hard(found, ground_truths, n_classes)


def _view(detected: Detected, truth: GroundTruth) -> _Image:
    scores = np.asarray(detected.scores, np.float64)
    order = np.argsort(-scores, kind="stable")[: int((scores >= FAINT).sum())]
    boxes = np.asarray(detected.boxes, np.float64).reshape(-1, 4)[order]
    classes = np.asarray(detected.classes, np.int64)[order]
    labels, names = np.asarray(truth.boxes, np.float64).reshape(-1, 4), np.asarray(truth.classes, np.int64)
    regions = np.asarray(getattr(truth, "ignored", np.empty((0, 4))), np.float64).reshape(-1, 4)
    inside = _shared(boxes, regions) / np.maximum(areas_of(boxes), 1e-9)[:, None]
    return _Image(
        boxes,
        classes,
        scores[order],
        iou(boxes, labels),
        classes[:, None] == names[None, :],
        np.asarray((inside >= ON).any(axis=1)),
    )


def _shared(a: Floats, b: Floats) -> Floats:
    """Common area of boxes [n, 4] and [m, 4], as [n, m]."""
    size = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    return np.asarray(np.prod(np.clip(size, 0, None), axis=2))


def iou(a: Floats, b: Floats) -> Floats:
    """Overlap of boxes [n, 4] and [m, 4], as [n, m]."""
    shared = _shared(a, b)
    return np.asarray(shared / np.maximum(areas_of(a)[:, None] + areas_of(b)[None, :] - shared, 1e-9))


def _rated(images: list[_Image], ground_truths: Sequence[GroundTruth], n_classes: int) -> list[list[Suspect]]:
    """One network's suspicions of every image."""
    events = [_events(v) for v in images]
    scores = np.concatenate([v.scores for v in images]) if images else np.empty(0)
    odds = [_odds(scores, np.concatenate([e[k] for e in events])) if images else np.empty(0) for k in range(3)]
    unseen = _unseen(images, ground_truths, n_classes)
    found, start = [], 0
    for i, (view, truth, happened) in enumerate(zip(images, ground_truths, events, strict=True)):
        own = slice(start, start + len(view.scores))
        start += len(view.scores)
        listed = [
            s
            for d in range(len(view.scores))
            for k in range(3)
            if happened[k][d] and (s := _of_detection(i, d, KINDS[k], float(odds[k][own][d]), view, truth))
        ]
        found.append(listed + _extras(i, view, truth, unseen))
    return found


def _events(view: _Image) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which detections disagree with the labels, as `missing`, `class` or `box`."""
    n, m = view.ious.shape
    if not m:
        return ~view.ignored, np.zeros(n, bool), np.zeros(n, bool)
    best, own = view.ious.max(axis=1), np.where(view.same, view.ious, 0.0)
    on_own = own.max(axis=1) >= ON
    missing = (best < NEAR) & ~view.ignored
    other = (best >= ON) & ~on_own
    box = (own.max(axis=1) >= NEAR) & ~on_own & ~other
    return missing, other, box


def _odds(scores: Floats, happened: np.ndarray) -> Floats:
    """The odds that a label is wrong, for each detection, by how rare its disagreement is at its score."""
    order = np.argsort(-scores, kind="stable")
    sums = np.r_[0, np.cumsum(happened[order])]
    at = np.arange(len(scores))
    low, high = np.maximum(at - NEIGHBOURS, 0), np.minimum(at + NEIGHBOURS + 1, len(scores))
    rates = np.empty(len(scores))
    rates[order] = (sums[high] - sums[low] + 1) / (high - low + 2)
    return np.asarray(PRIOR * (1 - rates) / rates)


def _of_detection(i: int, d: int, kind: str, odds: float, view: _Image, truth: GroundTruth) -> Suspect | None:
    """The suspicion that one detection raises; none where a better detection stands for the label."""
    seen, score, box = int(view.classes[d]), float(view.scores[d]), _corners(view.boxes[d])
    if kind == "missing":
        return Suspect(i, kind, _share(odds), box, -1, seen, score, box)
    column = np.where(view.same[d], view.ious[d], 0.0) if kind == "box" else view.ious[d]
    label = int(np.argmax(column))
    agrees = (view.ious[:, label] >= ON) & view.same[:, label]
    rival = float(view.scores[agrees].max(initial=0.0))
    if rival >= score:
        return None
    weight = (1 - rival / score) * (1 - column[label] if kind == "box" else 1.0)
    own = _corners(np.asarray(truth.boxes, np.float64)[label])
    return Suspect(i, kind, _share(odds) * weight, own, int(np.asarray(truth.classes)[label]), seen, score, box)


def _unseen(images: list[_Image], ground_truths: Sequence[GroundTruth], n_classes: int) -> Floats:
    """How often a label of each class has no detection near it [n_classes]; drawn to the mean where few are known."""
    counts, bare = np.zeros(n_classes), np.zeros(n_classes)
    for view, truth in zip(images, ground_truths, strict=True):
        names = np.asarray(truth.classes, np.int64)
        np.add.at(counts, names, 1)
        np.add.at(bare, names[view.ious.max(axis=0, initial=0.0) < NEAR], 1)
    mean = (bare.sum() + 1) / (counts.sum() + 2)
    return np.asarray((bare + 5 * mean) / (counts + 5))


def _extras(i: int, view: _Image, truth: GroundTruth, unseen: Floats) -> list[Suspect]:
    """Labels that the network sees nothing at: suspicious where it overlooks few objects of the class."""
    names = np.asarray(truth.classes, np.int64)
    boxes = np.asarray(truth.boxes, np.float64).reshape(-1, 4)
    bare = np.flatnonzero(view.ious.max(axis=0, initial=0.0) < NEAR)
    return [
        Suspect(i, "extra", _share(PRIOR / float(unseen[names[g]])), _corners(boxes[g]), int(names[g]), -1, 0.0, None)
        for g in bare
    ]


def _share(odds: float) -> float:
    return odds / (1 + odds)


def _corners(box: Floats) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (round(float(v), 2) for v in box)
    return x1, y1, x2, y2


def _merged(i: int, by_network: list[list[Suspect]]) -> list[Suspect]:
    """One suspect for each place and kind of an image: what several networks say of it is averaged."""
    pool = sorted((s for own in by_network for s in own), key=lambda s: -s.suspicion)
    merged: list[Suspect] = []
    while pool:
        first = pool[0]
        group = [s for s in pool if _is_same(first, s)]
        pool = [s for s in pool if not _is_same(first, s)]
        per_network = [max((s.suspicion for s in own if s in group), default=0.0) for own in by_network]
        loudest = max(group, key=lambda s: s.score)
        merged.append(
            Suspect(
                i,
                first.kind,
                float(np.mean(per_network)),
                first.box,
                first.label,
                loudest.seen,
                loudest.score,
                loudest.seen_box,
            )
        )
    return merged


def _is_same(a: Suspect, b: Suspect) -> bool:
    """Whether two suspicions are of one label: of one box, or of one place that has none."""
    if a.label >= 0 or b.label >= 0:
        return a.box == b.box and a.label == b.label
    return a.seen == b.seen and float(iou(np.array([a.box]), np.array([b.box]))[0, 0]) >= ON


def _hard(found: Sequence[Sequence[Detected]], ground_truths: Sequence[GroundTruth], n_classes: int) -> list[Hard]:
    """Images by the share of wrong answers, at each network's threshold of the best F1."""
    n = len(ground_truths)
    missed, false, right = np.zeros((3, len(found), n))
    for k, one in enumerate(found):
        matches = match(one, ground_truths, n_classes)
        f1 = curve(matches)
        limit = float(f1.thresholds[f1.best]) if f1.best >= 0 else 0.5
        kept = (matches.dets.scores >= limit) & ~matches.dropped[:, 0]
        hits = kept & (matches.matched[:, 0] >= 0)
        right[k] = np.bincount(matches.dets.images[hits], minlength=n)
        false[k] = np.bincount(matches.dets.images[kept & ~hits], minlength=n)
        missed[k] = np.bincount(matches.ground_truths.images, minlength=n) - right[k]
    shares = ((missed + false) / np.maximum(missed + false + right, 1)).mean(axis=0)
    order = np.lexsort((-(missed + false).mean(axis=0), -shares))
    means = missed.mean(axis=0), false.mean(axis=0)
    return [Hard(int(i), float(shares[i]), float(means[0][i]), float(means[1][i])) for i in order if shares[i] > 0]
