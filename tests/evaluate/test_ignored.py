"""Crowds, difficult objects and annotated areas: equal to the reference, and to cases worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from src.evaluate import evaluate, evaluate_in_depth, load_ground_truth, match, save_ground_truth
from src.evaluate.bootstrap import image_weights, mean_over_classes, resample_classes
from src.evaluate.coco import coco_figures
from src.evaluate.errors import split_errors
from src.evaluate.files import holds_ground_truth
from src.evaluate.thresholds import curve
from tests.evaluate.scenes import Ground, coco_reference, random_scenes, with_regions
from tests.evaluate.test_metrics import scene
from tests.evaluate.test_sweep import SUBJECT

NAMES = ("AP-small", "AP-medium", "AP-large", "AR@1", "AR@10", "AR@100", "AR-small", "AR-medium", "AR-large")


def ground(objects: list[tuple[float, ...]], regions: list[tuple[float, ...]], *, crowd: bool = True) -> Ground:
    """Rows of x1, y1, x2, y2, class."""
    own, ignored = (np.array(rows, dtype=float).reshape(-1, 5) for rows in (objects, regions))
    areas = (own[:, 2] - own[:, 0]) * (own[:, 3] - own[:, 1])
    return Ground(
        own[:, :4],
        own[:, 4].astype(np.int64),
        areas,
        ignored[:, :4],
        ignored[:, 4].astype(np.int64),
        np.full(len(ignored), crowd),
    )


@pytest.mark.parametrize(
    ("seed", "images", "classes", "most", "tied"),
    [(0, 40, 5, 12, False), (1, 30, 1, 40, False), (2, 60, 20, 6, True), (3, 10, 2, 130, False)],
)
def test_crowds_and_areas_agree_with_faster_coco_eval(
    seed: int, images: int, classes: int, most: int, tied: bool
) -> None:
    detections, plain = random_scenes(seed, images, classes, most=most, tied=tied)
    ground_truths = with_regions(plain, seed, classes)
    got, figures = evaluate(detections, ground_truths, classes), coco_figures(match(detections, ground_truths, classes))
    stats = coco_reference(detections, ground_truths, classes).stats
    for value, want in zip((got.map50_95, got.map50, got.map75), stats[:3], strict=True):
        assert value == pytest.approx(want, abs=1e-6)
    for name, want in zip(NAMES, stats[3:12], strict=True):
        assert figures[name] == pytest.approx(want, abs=1e-6), name
    without = coco_figures(match(detections, plain, classes))
    assert got.map50_95 > evaluate(detections, plain, classes).map50_95 + 1e-3, "the crowds matter here"
    assert abs(without["AR-small"] - figures["AR-small"]) > 1e-5, "the areas matter here"


FOUND = (0, 0, 100, 100, 0)
CROWD = (200, 200, 600, 600, 0)
IN_CROWD = [(210, 210, 240, 240, 0, 0.95), (300, 300, 330, 330, 0, 0.94)]


def test_a_crowd_takes_any_number_by_the_share_inside() -> None:
    found = scene([(*FOUND, 0.9), *IN_CROWD])
    matches = match([found], [ground([FOUND], [CROWD])], 1)
    assert matches.dropped[:, 0].tolist() == [True, True, False]
    assert len(matches.ground_truths) == 1
    assert evaluate([found], [ground([FOUND], [CROWD])], 1).map50_95 == 1.0
    outside = scene([(*FOUND, 0.9), (170, 210, 225, 240, 0, 0.95)])  # less than half of it lies inside
    assert not match([outside], [ground([FOUND], [CROWD])], 1).dropped.any()
    other = scene([(*FOUND, 0.9), (210, 210, 240, 240, 1, 0.95)])
    assert not match([other], [ground([FOUND], [CROWD])], 2).dropped.any(), "a crowd of another class"


def test_a_difficult_object_takes_boxes_that_fit_it() -> None:
    ground_truths = [ground([FOUND], [CROWD], crowd=False)]
    inside = match([scene([(*FOUND, 0.9), *IN_CROWD])], ground_truths, 1)
    assert not inside.dropped.any(), "a small box inside is no fit"
    fitting = match([scene([(*FOUND, 0.9), (*CROWD, 0.95), (*CROWD, 0.8)])], ground_truths, 1)
    assert fitting.dropped[:, 0].tolist() == [True, False, True]
    assert fitting.matched[:, 0].tolist() == [-1, 0, -1]


def test_an_object_comes_before_the_region() -> None:
    """COCO: a region is taken only when no object fits, however well it fits."""
    matches = match([scene([(0, 0, 100, 90, 0, 0.9)])], [ground([FOUND], [(0, 0, 100, 90, 0)])], 1)
    assert matches.matched[0, 0] == 0
    assert not matches.dropped[0, 0]
    assert matches.dropped[0, 9], "at IoU 0.95 the object doesn't fit"


def test_a_class_with_regions_only_has_no_figure() -> None:
    got = evaluate([scene([(*CROWD, 0.9)])], [ground([(0, 0, 9, 9, 1)], [CROWD])], 2)
    assert math.isnan(got.per_class[0])
    assert got.ground_truths == [0, 1]


def test_the_threshold_is_tuned_without_boxes_on_regions() -> None:
    found = scene([(*FOUND, 0.6), *IN_CROWD, (110, 110, 190, 190, 0, 0.3)])
    for crowd, best in ((True, 1.0), (False, 0.5)):
        matches = match([found], [ground([FOUND], [CROWD], crowd=crowd)], 1)
        f1 = curve(matches)
        assert f1.f1[f1.best] == best
        assert f1.thresholds[f1.best] == 0.6
        errors = split_errors(matches, 0.5)
        assert errors.ignored == 2 * crowd
        assert errors.counts["background"] == 2 * (not crowd)
        assert errors.matrix.tolist() == [[1, 0], [2 * (not crowd), 0]]


@pytest.mark.parametrize("crowd", [True, False])
def test_resampling_with_regions_equals_copying_the_images(crowd: bool) -> None:
    detections, plain = random_scenes(5, 30, 4)
    ground_truths = with_regions(plain, 5, 4, crowd=crowd)
    matches = match(detections, ground_truths, 4)
    assert matches.dropped.any()
    weights = image_weights(30, 4)
    for row, values in zip(weights, mean_over_classes(resample_classes(matches, weights)), strict=True):
        copies = np.repeat(np.arange(30), row)
        want = evaluate([detections[i] for i in copies], [ground_truths[i] for i in copies], 4)
        assert values == pytest.approx([want.map50_95, want.map50], abs=1e-12)


def test_errors_and_boxes_on_regions_add_up() -> None:
    detections, plain = random_scenes(3, 50, 4)
    matches = match(detections, with_regions(plain, 3, 4), 4)
    errors = split_errors(matches, 0.3)
    kept = int(np.count_nonzero(matches.dets.scores >= 0.3))
    wrong = sum(n for kind, n in errors.counts.items() if kind != "missed")
    assert errors.ignored > 0
    assert errors.true_positives + wrong + errors.ignored == kept


def test_regions_and_areas_survive_saving(tmp_path: Path) -> None:
    detections, plain = random_scenes(0, 12, 3)
    ground_truths = [*with_regions(plain[:6], 0, 3), *with_regions(plain[6:], 1, 3, crowd=False)]
    save_ground_truth(tmp_path / "t.npz", ground_truths)
    back = load_ground_truth(tmp_path / "t.npz")
    for one, two in zip(ground_truths, back, strict=True):
        for name in vars(one):
            assert np.array_equal(getattr(one, name), getattr(two, name)), name
    assert evaluate_in_depth(SUBJECT, detections, back, resamples=5) == evaluate_in_depth(
        SUBJECT, detections, ground_truths, resamples=5
    )
    assert holds_ground_truth(tmp_path / "t.npz", ground_truths)
    assert not holds_ground_truth(tmp_path / "t.npz", plain)
    assert not holds_ground_truth(tmp_path / "no.npz", ground_truths)


def test_truths_saved_by_earlier_versions_load_and_are_known_to_be_old(tmp_path: Path) -> None:
    _, ground_truths = random_scenes(0, 12, 4)
    counts = [len(t.classes) for t in ground_truths]
    np.savez_compressed(
        tmp_path / "old.npz",
        images=np.int64(12),
        image_index=np.repeat(np.arange(12), counts),
        boxes=np.concatenate([t.boxes for t in ground_truths]),
        classes=np.concatenate([t.classes for t in ground_truths]),
    )
    back = load_ground_truth(tmp_path / "old.npz")
    assert [len(t.classes) for t in back] == counts
    assert all(len(t.ignored) == 0 for t in back)
    assert back[1].areas.tolist() == [(b[2] - b[0]) * (b[3] - b[1]) for b in ground_truths[1].boxes]
    assert not holds_ground_truth(tmp_path / "old.npz", ground_truths)
