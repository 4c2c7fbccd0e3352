"""Recall, sizes, errors and resampling."""

from __future__ import annotations

import math

import numpy as np
import pytest

from src.evaluate import evaluate, match, summarise
from src.evaluate.bootstrap import image_weights, mean_over_classes, resample_classes
from src.evaluate.coco import coco_figures
from src.evaluate.errors import split_errors
from src.evaluate.intervals import evidence, interval
from tests.evaluate.scenes import Scene, coco_reference, random_scenes
from tests.evaluate.test_metrics import scene


@pytest.mark.parametrize(("seed", "images", "classes", "most"), [(0, 40, 5, 12), (1, 30, 1, 40), (4, 60, 20, 6)])
def test_recall_and_sizes_agree_with_faster_coco_eval(seed: int, images: int, classes: int, most: int) -> None:
    detections, ground_truths = random_scenes(seed, images, classes, most=most)
    got = coco_figures(match(detections, ground_truths, classes))
    stats = coco_reference(detections, ground_truths, classes).stats
    names = ["AP-small", "AP-medium", "AP-large", "AR@1", "AR@10", "AR@100", "AR-small", "AR-medium", "AR-large"]
    for name, want in zip(names, stats[3:12], strict=True):
        assert got[name] == pytest.approx(want, abs=1e-6), name


def test_figures_without_truths_are_not_numbers() -> None:
    assert all(math.isnan(v) for v in coco_figures(match([scene([])], [scene([])], 2)).values())


TRUTH = [(0, 0, 100, 100, 0, 1), (200, 200, 300, 300, 1, 1)]
CASES = {
    "localisation": (0, 0, 100, 45, 0, 0.9),
    "class": (0, 0, 100, 100, 1, 0.9),
    "background": (400, 400, 450, 450, 0, 0.9),
    "both": (0, 0, 100, 45, 1, 0.9),
}


@pytest.mark.parametrize("kind", CASES)
def test_each_error_is_named(kind: str) -> None:
    errors = split_errors(match([scene([CASES[kind]])], [scene(TRUTH)], 2), 0.5)
    expected = dict.fromkeys(errors.counts, 0) | {kind: 1}
    expected["missed"] = 1 if kind in ("localisation", "class") else 2
    assert errors.counts == expected
    assert errors.confusions == ([(0, 1, 1)] if kind == "class" else [])


def test_duplicates_and_hits_are_counted() -> None:
    found = scene([(0, 0, 100, 100, 0, 0.9), (0, 0, 100, 90, 0, 0.8), (200, 200, 300, 300, 1, 0.2)])
    errors = split_errors(match([found], [scene(TRUTH)], 2), 0.5)
    assert errors.true_positives == 1
    assert errors.counts["duplicate"] == 1
    assert errors.counts["missed"] == 1  # its detection lies below the threshold
    assert errors.mean_iou == 1.0
    assert errors.detections_per_image == 2.0


def test_errors_add_up() -> None:
    detections, ground_truths = random_scenes(3, 50, 4)
    matches = match(detections, ground_truths, 4)
    errors = split_errors(matches, 0.3)
    kept = int(np.count_nonzero(matches.dets.scores >= 0.3))
    assert errors.true_positives + sum(n for k, n in errors.counts.items() if k != "missed") == kept


def test_resampling_equals_copying_the_images() -> None:
    detections, ground_truths = random_scenes(5, 30, 4)
    weights = image_weights(30, 4)
    got = mean_over_classes(resample_classes(match(detections, ground_truths, 4), weights))
    for row, values in zip(weights, got, strict=True):
        copies = np.repeat(np.arange(30), row)
        want = evaluate([detections[i] for i in copies], [ground_truths[i] for i in copies], 4)
        assert values == pytest.approx([want.map50_95, want.map50], abs=1e-12)


def test_every_image_once_is_the_estimate() -> None:
    detections, ground_truths = random_scenes(6, 20, 3)
    matches = match(detections, ground_truths, 3)
    got = mean_over_classes(resample_classes(matches, np.ones((1, 20), dtype=np.int64)))[0]
    metrics = summarise(matches)
    assert got == pytest.approx([metrics.map50_95, metrics.map50], abs=1e-12)


def test_weights_are_resamples() -> None:
    weights = image_weights(25, 200)
    assert weights.shape == (200, 25)
    assert set(weights.sum(axis=1)) == {25}
    assert np.array_equal(weights, image_weights(25, 200))


def test_two_models_on_the_same_draws_differ_by_less_than_on_their_own() -> None:
    detections, ground_truths = random_scenes(8, 20, 3)
    worse = [*detections[:-1], detections[0]]  # boxes of another image for the last one
    matches = [match(found, ground_truths, 3) for found in (detections, worse)]

    def gaps(*seeds: int) -> np.ndarray:
        a, b = (
            mean_over_classes(resample_classes(m, image_weights(20, 200, seed=seed)))[:, 0]
            for m, seed in zip(matches, seeds, strict=True)
        )
        return np.asarray(a - b)

    paired, own = gaps(1, 1), gaps(1, 2)
    assert paired.any()
    assert paired.std() < 0.7 * own.std()


def test_intervals_shrink_with_more_images() -> None:
    widths = []
    for n in (20, 320):
        detections, ground_truths = random_scenes(9, n, 2)
        matches = match(detections, ground_truths, 2)
        table = resample_classes(matches, image_weights(n, 200))[:, :, 0]
        got = interval(summarise(matches).map50_95, table, evidence(matches))
        assert got.low < got.high
        widths.append(got.high - got.low)
    assert widths[1] < widths[0] / 2


def test_no_truths_give_no_interval() -> None:
    empty: list[Scene] = [scene([])] * 3
    matches = match(empty, empty, 2)
    assert np.isnan(mean_over_classes(resample_classes(matches, image_weights(3, 10)))).all()
    got = interval(math.nan, resample_classes(matches, image_weights(3, 10))[:, :, 0], evidence(matches))
    assert math.isnan(got.se)
    assert math.isnan(got.low)
    assert got.note
