"""The figures agree with faster-coco-eval, and with cases worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from src.evaluate import Metrics, evaluate, match
from src.evaluate.thresholds import curve
from tests.evaluate.scenes import Scene, coco_reference, random_scenes


def scene(rows: Sequence[tuple[float, ...]]) -> Scene:
    """Rows of x1, y1, x2, y2, class, score."""
    table = np.array(rows, dtype=float).reshape(-1, 6)
    return Scene(table[:, :4], table[:, 4].astype(np.int64), table[:, 5])


@pytest.mark.parametrize(
    ("seed", "images", "classes", "most", "tied"),
    [
        (0, 40, 5, 12, False),
        (1, 60, 1, 30, False),
        (2, 30, 12, 6, True),
        (3, 8, 3, 150, False),
        (4, 100, 80, 5, False),
    ],
)
def test_agrees_with_faster_coco_eval(seed: int, images: int, classes: int, most: int, tied: bool) -> None:
    detections, ground_truths = random_scenes(seed, images, classes, most=most, tied=tied)
    got = evaluate(detections, ground_truths, classes)
    reference = coco_reference(detections, ground_truths, classes)
    assert got.map50_95 == pytest.approx(reference.stats[0], abs=1e-6)
    assert got.map50 == pytest.approx(reference.stats[1], abs=1e-6)
    assert got.map75 == pytest.approx(reference.stats[2], abs=1e-6)
    table = reference.eval["precision"][:, :, :, 0, -1]  # T, R, K
    for c in range(classes):
        want = table[:, :, c].mean()
        if want > -1:
            assert got.per_class[c] == pytest.approx(want, abs=1e-6)
        else:
            assert math.isnan(got.per_class[c])


def test_max_dets_limits_each_image_and_class() -> None:
    detections, ground_truths = random_scenes(7, 6, 2, most=60)
    for limit in (20, 30):
        reference = coco_reference(detections, ground_truths, 2, max_dets=limit)
        want = reference.eval["precision"][:, :, :, 0, -1]
        assert evaluate(detections, ground_truths, 2, max_dets=limit).map50_95 == pytest.approx(want.mean(), abs=1e-6)


def test_perfect_detections_score_one() -> None:
    ground_truth = scene([(0, 0, 10, 10, 0, 1), (20, 20, 40, 50, 1, 1)])
    got = evaluate([scene([(0, 0, 10, 10, 0, 0.9), (20, 20, 40, 50, 1, 0.8)])], [ground_truth], 2)
    assert got.as_dict() == {
        "mAP50-95": 1.0, "mAP50": 1.0, "mAP75": 1.0, "precision": 1.0, "recall": 1.0, "f1": 1.0,
    }  # fmt: skip
    assert got.threshold == 0.8


def test_a_duplicate_is_a_false_positive() -> None:
    ground_truth = scene([(0, 0, 10, 10, 0, 1)])
    found = scene([(0, 0, 10, 10, 0, 0.9), (0, 0, 10, 10, 0, 0.8)])
    f1 = curve(match([found], [ground_truth], 1))
    assert f1.precision.tolist() == [1.0, 0.5]
    assert f1.recall.tolist() == [1.0, 1.0]
    assert f1.best == 0


def test_the_higher_score_takes_the_truth_first() -> None:
    """The better-placed detection comes second and finds the truth taken."""
    ground_truth = scene([(0, 0, 10, 10, 0, 1)])
    found = scene([(0, 0, 10, 10, 0, 0.5), (0, 0, 10, 9, 0, 0.6)])
    matches = match([found], [ground_truth], 1)
    assert matches.dets.scores.tolist() == [0.6, 0.5]
    assert matches.matched[:, 0].tolist() == [0, -1]
    # At IoU 0.95 the first one (0.9) does not reach, so the second one takes it.
    assert matches.matched[:, 9].tolist() == [-1, 0]


def test_best_threshold_is_the_best_of_all() -> None:
    detections, ground_truths = random_scenes(11, 30, 4)
    got = evaluate(detections, ground_truths, 4)
    by_hand = max(_macro_f1(detections, ground_truths, 4, s) for d in detections for s in d.scores)
    assert got.f1 == pytest.approx(by_hand, abs=1e-12)
    assert _macro_f1(detections, ground_truths, 4, got.threshold) == pytest.approx(got.f1, abs=1e-12)


def _macro_f1(detections: list[Scene], ground_truths: list[Scene], n_classes: int, threshold: float) -> float:
    kept = [
        Scene(d.boxes[m], d.classes[m], d.scores[m]) for d in detections if (m := d.scores >= threshold) is not None
    ]
    matches = match(kept, ground_truths, n_classes)
    totals = np.bincount(matches.ground_truths.classes, minlength=n_classes)
    hits = np.bincount(matches.dets.classes, weights=matches.matched[:, 0] >= 0, minlength=n_classes)
    seen = np.bincount(matches.dets.classes, minlength=n_classes)
    known = totals > 0
    return float(np.mean(2 * hits[known] / (seen + totals)[known]))


def test_no_detections_score_zero() -> None:
    got = evaluate([scene([])], [scene([(0, 0, 5, 5, 0, 1)])], 1)
    assert set(got.as_dict().values()) == {0.0}


def test_no_ground_truth_is_not_a_score() -> None:
    got: Metrics = evaluate([scene([(0, 0, 5, 5, 0, 0.5)])], [scene([])], 3)
    assert math.isnan(got.map50_95)
    assert math.isnan(got.f1)
    assert math.isnan(evaluate([], [], 3).map50_95)


@pytest.mark.parametrize(
    ("detections", "ground_truths", "said"),
    [
        ([scene([])], [], "1 images of detections but 0"),
        ([scene([(0, 0, 1, 1, 3, 0.5)])], [scene([])], "outside 0..2"),
        ([scene([(0, 0, math.nan, 1, 0, 0.5)])], [scene([])], "finite"),
        (
            [Scene(np.zeros((1, 4)), np.zeros(1, dtype=np.int64), np.zeros(2))],
            [scene([])],
            "2 scores",
        ),
    ],
)
def test_malformed_arrays_are_refused(detections: list[Scene], ground_truths: list[Scene], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        evaluate(detections, ground_truths, 3)
