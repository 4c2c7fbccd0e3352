"""AP on the objects of real photographs equals faster-coco-eval's within 1e-6: all 80 classes, all sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.evaluate import evaluate, match
from src.evaluate.coco import coco_figures
from tests.evaluate.scenes import Scene, coco_reference

CLASSES = 80


def truths_of(folder: Path) -> list[Scene]:
    """Boxes in px of every photograph that has labels, as the photographs' annotators drew them."""
    found = []
    for photo in sorted(folder.glob("images/*/*.*")):
        path = folder / "labels" / photo.parent.name / f"{photo.stem}.txt"
        if not path.is_file():  # a photograph without objects
            continue
        with Image.open(photo) as image:
            size = np.array([*image.size, *image.size], dtype=np.float64)
        rows = np.loadtxt(path, ndmin=2).reshape(-1, 5)
        centre, extent = rows[:, 1:3], rows[:, 3:5]
        boxes = np.hstack([centre - extent / 2, centre + extent / 2]) * size
        found.append(Scene(boxes, rows[:, 0].astype(np.int64), np.ones(len(rows))))
    return found


def detections_of(ground_truths: list[Scene], seed: int, tied: bool) -> list[Scene]:
    """What a detector of middling quality finds: boxes moved and scaled, some missed, doubled, misnamed, invented."""
    rng = np.random.default_rng(seed)
    made = []
    for t in ground_truths:
        pick = rng.integers(0, len(t.classes), int(rng.integers(0, 2 * len(t.classes) + 1)))
        extent = np.tile(t.boxes[pick, 2:] - t.boxes[pick, :2], 2)
        boxes = t.boxes[pick] + rng.normal(0, 1, (len(pick), 4)) * extent * rng.choice([0.02, 0.1], (len(pick), 1))
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
        classes = np.where(rng.random(len(pick)) < 0.15, rng.integers(0, CLASSES, len(pick)), t.classes[pick])
        scores = rng.random(len(pick))
        made.append(Scene(boxes, classes.astype(np.int64), np.round(scores, 1) if tied else scores))
    return made


@pytest.mark.parametrize(("seed", "tied"), [(0, False), (1, True)])
def test_agrees_with_the_reference_on_photographs(seed: int, tied: bool, coco128_dir: Path) -> None:
    ground_truths = truths_of(coco128_dir)
    assert sum(len(t.classes) for t in ground_truths) > 900
    detections = detections_of(ground_truths, seed, tied)
    got, reference = evaluate(detections, ground_truths, CLASSES), coco_reference(detections, ground_truths, CLASSES)
    assert 0.1 < got.map50_95 < 0.9
    for value, want in zip((got.map50_95, got.map50, got.map75), reference.stats[:3], strict=True):
        assert value == pytest.approx(want, abs=1e-6)
    figures = coco_figures(match(detections, ground_truths, CLASSES))
    names = ("AP-small", "AP-medium", "AP-large", "AR@1", "AR@10", "AR@100", "AR-small", "AR-medium", "AR-large")
    for name, want in zip(names, reference.stats[3:12], strict=True):
        assert figures[name] == pytest.approx(want, abs=1e-6), name
    precision = reference.eval["precision"]  # [thresholds, recalls, classes, sizes, limits]
    for c in range(CLASSES):
        by_class = precision[:, :, c, 0, 2]
        if (by_class > -1).any():
            assert got.per_class[c] == pytest.approx(by_class[by_class > -1].mean(), abs=1e-6), c
