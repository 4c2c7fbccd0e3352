"""Thresholds per class, chosen by what a missed object and a false alarm cost, and what they cost on other images.

At IoU 0.5. A class's cost at a threshold is `miss` for each object that no detection of at least this score found, plus
`false_alarm` for each detection that found none; detections on regions to ignore cost nothing. Every distinct score is
tried, so the choice is exact; of equal costs the highest threshold is taken. A class without objects gets the shared
threshold, since nothing says what it should be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from src.evaluate.matching import Floats, Ints, Matches
from src.evaluate.precision import ground_truths_per_class


@dataclass(frozen=True)
class Counts:
    """What detections of at least their class's threshold come to."""

    objects: Ints  # [n_classes]
    found: Ints  # [n_classes] objects
    false_alarms: Ints  # [n_classes] detections that found no object

    def recall(self, c: int) -> float | None:
        """Of a class; None where it has no object."""
        return float(self.found[c] / self.objects[c]) if self.objects[c] else None

    def precision(self, c: int) -> float | None:
        """Of a class; None where nothing is detected."""
        detected = self.found[c] + self.false_alarms[c]
        return float(self.found[c] / detected) if detected else None

    def cost(self, miss: float, false_alarm: float) -> float:
        """Of all classes together."""
        return float(miss * (self.objects - self.found).sum() + false_alarm * self.false_alarms.sum())


@dataclass(frozen=True)
class Costs:
    """What a missed object and a false alarm cost, in any unit."""

    miss: float
    false_alarm: float


def counts_at(matches: Matches, thresholds: Floats) -> Counts:
    """Objects found and false alarms of each class when each has its own threshold [n_classes]."""
    kept = (matches.dets.scores >= thresholds[matches.dets.classes]) & ~matches.dropped[:, 0]
    hits = matches.matched[:, 0] >= 0
    count = matches.n_classes
    return Counts(
        objects=np.asarray(ground_truths_per_class(matches), dtype=np.int64),
        found=np.bincount(matches.dets.classes[kept & hits], minlength=count),
        false_alarms=np.bincount(matches.dets.classes[kept & ~hits], minlength=count),
    )


def choose_thresholds(matches: Matches, costs: Costs, shared: float) -> Floats:
    """The cheapest threshold of each class [n_classes]; where nothing is worth reporting, just above its best score.

    Args:
        matches: of the split that the choice is made on.
        costs: of a miss and of a false alarm.
        shared: the threshold of classes without objects.
    """
    objects = ground_truths_per_class(matches)
    chosen = np.full(matches.n_classes, float(shared))
    use = ~matches.dropped[:, 0]
    for c in np.flatnonzero(objects):
        own = use & (matches.dets.classes == c)
        chosen[c] = _cheapest(matches.dets.scores[own], matches.matched[own, 0] >= 0, costs)
    return chosen


def _cheapest(scores: Floats, hits: np.ndarray, costs: Costs) -> float:
    """The threshold of least cost among detections of one class, best score first.

    Each detection changes the cost of reporting nothing: a hit saves a miss, another one adds a false alarm.
    """
    if not len(scores):
        return 1.0
    order = np.argsort(-scores, kind="stable")
    scores, hits = scores[order], hits[order]
    last = np.r_[np.diff(scores) != 0, True]  # detections of one score are reported together
    change = np.cumsum(np.where(hits, -costs.miss, costs.false_alarm))[last]
    best = int(np.argmin(change))
    if change[best] >= 0:
        return float(np.nextafter(scores[0], np.inf))
    return float(scores[last][best])


def confirmed(
    chosen_on: Matches, judged_on: Matches, costs: Costs, shared: float, names: Sequence[str]
) -> dict[str, Any]:
    """Thresholds chosen on one split, with the costs on another of them and of one threshold for all.

    Args:
        chosen_on: matches of the split that they are chosen on.
        judged_on: matches of images that took no part in the choice.
        costs: of a miss and of a false alarm.
        shared: the one threshold that they are held against.
        names: of the classes.
    """
    thresholds = choose_thresholds(chosen_on, costs, shared)
    same = np.full(len(thresholds), shared)
    before, after = counts_at(judged_on, same), counts_at(judged_on, thresholds)
    cost = {"miss": costs.miss, "false_alarm": costs.false_alarm}
    return {
        **cost,
        "shared_threshold": shared,
        "thresholds": {name: round(float(t), 6) for name, t in zip(names, thresholds, strict=True)},
        "cost_shared_chosen_on": counts_at(chosen_on, same).cost(**cost),
        "cost_per_class_chosen_on": counts_at(chosen_on, thresholds).cost(**cost),
        "cost_shared": before.cost(**cost),
        "cost_per_class": after.cost(**cost),
        "missed_shared": int((before.objects - before.found).sum()),
        "missed_per_class": int((after.objects - after.found).sum()),
        "false_alarms_shared": int(before.false_alarms.sum()),
        "false_alarms_per_class": int(after.false_alarms.sum()),
        "n_images": judged_on.n_images,
    }
