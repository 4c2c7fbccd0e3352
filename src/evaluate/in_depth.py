"""Everything that is known about one artifact's accuracy on one split, as a record."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from src.evaluate.bootstrap import RESAMPLES, SEED, image_weights, mean_over_classes, resample_classes
from src.evaluate.coco import coco_figures
from src.evaluate.confusion import Pair
from src.evaluate.costs import counts_at
from src.evaluate.errors import split_errors
from src.evaluate.intervals import Evidence, evidence, interval
from src.evaluate.matching import Detected, GroundTruth, Ints, Matches, match
from src.evaluate.metrics import Metrics, summarise
from src.evaluate.thresholds import Curve, curve
from src.records.schema import EvaluationRecord

PRODUCTION = 0.25  # the confidence at which Ultralytics predicts unless told otherwise
CURVE_POINTS = 60
MOST_CONFUSIONS = 20


@dataclass(frozen=True)
class Subject:
    """What was evaluated."""

    sweep: str
    trial: int
    run_id: str
    format: str
    precision: str
    artifact_sha256: str
    runtime: str
    split: str
    dataset_fingerprint: str
    class_names: list[str]


def evaluate_in_depth(
    subject: Subject,
    detections: Sequence[Detected],
    ground_truths: Sequence[GroundTruth],
    *,
    production: float = PRODUCTION,
    resamples: int = RESAMPLES,
    groups: Ints | None = None,
) -> EvaluationRecord:
    """Evaluate in depth.

    Args:
        subject: what the detections come from.
        detections: one item per image.
        truths: one item per image, in the same order.
        production: confidence threshold in use, for the figures `…@production`.
        resamples: number of bootstrap resamples.
        groups: [n_images] images of equal number are drawn together; None: every image by itself.

    Raises:
        ValueError: unequal numbers of images, or malformed arrays.
    """
    matches = match(detections, ground_truths, len(subject.class_names))
    metrics, f1_curve = summarise(matches), curve(matches)
    threshold = metrics.threshold if math.isfinite(metrics.threshold) else production
    errors = split_errors(matches, threshold)
    table = resample_classes(matches, image_weights(matches.n_images, resamples, groups=groups))
    samples, found = mean_over_classes(table), evidence(matches, groups)
    intervals = {
        "mAP50-95": interval(metrics.map50_95, table[:, :, 0], found, subject.class_names),
        "mAP50": interval(metrics.map50, table[:, :, 1], found, subject.class_names),
    }
    at = dict(zip(("precision", "recall", "f1"), f1_curve.at(production), strict=True))
    return EvaluationRecord(
        **{name: value for name, value in vars(subject).items() if name != "class_names"},
        n_images=matches.n_images,
        figures={
            **metrics.as_dict(),
            "threshold": metrics.threshold,
            **{f"{name}@production": value for name, value in at.items()},
            "threshold@production": production,
            **coco_figures(matches),
            "mean-IoU": errors.mean_iou,
            "detections-per-image": errors.detections_per_image,
            **_per_image(matches, production),
        },
        intervals={name: [i.low, i.high] for name, i in intervals.items()},
        standard_errors={name: i.se for name, i in intervals.items()},
        resamples=[round(float(v), 7) for v in samples[:, 0]],
        resample_seed=SEED,
        per_class=_per_class(metrics, matches, found, subject.class_names, production),
        errors={"true_positives": errors.true_positives, **errors.counts, "ignored": errors.ignored},
        confusions=_named(errors.confusions, subject.class_names),
        curve=_thin(f1_curve),
        also_called=_named(errors.also_called, subject.class_names),
        confusion_matrix=errors.matrix.tolist(),
        n_groups=found.n_groups,
        freedom=intervals["mAP50-95"].freedom,
        interval_note=intervals["mAP50-95"].note,
    )


def _named(pairs: list[Pair], names: list[str]) -> list[list[Any]]:
    """The most frequent pairs of classes, by name."""
    return [[names[a], names[b], n] for a, b, n in pairs[:MOST_CONFUSIONS]]


def _per_image(matches: Matches, production: float) -> dict[str, float]:
    """Detections of an image at the threshold in use: mean and 95th percentile."""
    images = matches.dets.images[matches.dets.scores >= production]
    counts = np.bincount(images, minlength=matches.n_images) if matches.n_images else np.zeros(1)
    return {
        "detections-per-image@production": float(counts.mean()),
        "detections-per-image-p95@production": float(np.percentile(counts, 95)),
    }


def _per_class(
    metrics: Metrics, matches: Matches, found: Evidence, names: list[str], production: float
) -> list[dict[str, Any]]:
    detected = np.bincount(matches.dets.classes, minlength=len(names))
    at = counts_at(matches, np.full(len(names), production))
    return [
        {
            "name": name,
            "truths": metrics.ground_truths[c],
            "groups": int(found.holding[c]),
            "detections": int(detected[c]),
            "AP50-95": _number(metrics.per_class[c]),
            "AP50": _number(metrics.per_class50[c]),
            "recall@production": at.recall(c),
            "precision@production": at.precision(c),
        }
        for c, name in enumerate(names)
    ]


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _thin(full: Curve) -> list[list[float]]:
    """The curve at evenly spread thresholds, for tables and figures."""
    if not len(full.thresholds):
        return []
    points = np.linspace(0.0, 1.0, CURVE_POINTS + 1)[1:-1]
    return [[round(float(t), 4), *(round(v, 6) for v in full.at(float(t)))] for t in points]
