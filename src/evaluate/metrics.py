"""The headline figures of a detector on one split: what every other room calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from src.evaluate.matching import MAX_DETS, Detected, Floats, GroundTruth, Matches, match
from src.evaluate.precision import ap_table, ground_truths_per_class, mean_of
from src.evaluate.thresholds import curve


@dataclass(frozen=True)
class Metrics:
    """COCO figures in 0..1; NaN where the split has no ground truth."""

    map50_95: float  # mean over classes and IoU 0.50:0.05:0.95
    map50: float
    map75: float
    precision: float  # mean over classes at `threshold`, IoU 0.5
    recall: float
    f1: float
    threshold: float  # confidence of the best mean F1
    per_class: Floats  # [n_classes] AP50-95, NaN for classes without ground truth
    per_class50: Floats  # [n_classes] AP50
    ground_truths: list[int]  # objects per class
    n_images: int

    def as_dict(self) -> dict[str, float]:
        """The figures under the names used in records and in MLflow."""
        return {
            "mAP50-95": self.map50_95,
            "mAP50": self.map50,
            "mAP75": self.map75,
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
        }


def evaluate(
    detections: Sequence[Detected],
    ground_truths: Sequence[GroundTruth],
    n_classes: int,
    *,
    max_dets: int = MAX_DETS,
) -> Metrics:
    """Evaluate detections against ground truth.

    Args:
        detections: one item per image with `boxes` [n, 4] (x1, y1, x2, y2 in px of the original image), `scores` [n]
            and `classes` [n].
        truths: one item per image, in the same order, with `boxes` and `classes`.
        n_classes: number of classes.
        max_dets: detections kept per image and class. 100 is COCO's rule; Ultralytics keeps 300 per image.

    Raises:
        ValueError: unequal numbers of images, or malformed arrays.
    """
    return summarise(match(detections, ground_truths, n_classes, max_dets=max_dets))


def summarise(matches: Matches) -> Metrics:
    """The headline figures from cached matches at COCO's ten thresholds."""
    table = ap_table(matches)
    f1_curve = curve(matches)
    known = len(matches.ground_truths) > 0
    best = f1_curve.best
    nothing = 0.0 if known else float("nan")
    threshold = float(f1_curve.thresholds[best]) if best >= 0 else float("nan")
    precision, recall, f1 = f1_curve.at(threshold) if best >= 0 else (nothing, nothing, nothing)
    return Metrics(
        map50_95=mean_of(table),
        map50=mean_of(table[:, 0]),
        map75=mean_of(table[:, 5]),
        precision=precision,
        recall=recall,
        f1=f1,
        threshold=threshold,
        per_class=np.array([mean_of(row) for row in table]),
        per_class50=table[:, 0],
        ground_truths=[int(n) for n in ground_truths_per_class(matches)],
        n_images=matches.n_images,
    )
