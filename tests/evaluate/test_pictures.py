"""Pictures of an evaluation: they show what the figures say, and nothing of an encrypted dataset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from src.common import encryption, image_loaders
from src.data import Sample, load_split, resolve
from src.evaluate import match
from src.evaluate.pictures import BOXES, CURVES, MATRIX, SIDE, draw_evaluation, precision_at
from src.evaluate.precision import ap_table
from src.records.schema import DatasetRef
from tests.data.builders import config, yolo_set
from tests.evaluate.scenes import Scene, random_scenes


@pytest.fixture
def dataset(tmp_path: Path) -> DatasetRef:
    path = yolo_set(tmp_path / "mine", {"train": 2, "val": 4}, names=("cat", "犬"))
    return resolve(config("yolo", path=path), tmp_path / "o")


def right(samples: list[Sample], score: float = 0.9) -> list[Scene]:
    """Detections that agree with the labels."""
    return [Scene(s.boxes, s.classes, np.full(len(s.classes), score)) for s in samples]


def drawn(found: list[Scene], samples: list[Sample], names: list[str], out: Path) -> list[Path]:
    return draw_evaluation(match(found, samples, len(names)), found, samples, names, out)


def picture(path: Path) -> np.ndarray:
    found = cv2.imread(str(path))
    assert found is not None
    return found


@pytest.mark.parametrize("seed", range(5))
def test_the_curve_has_the_area_that_is_the_ap(seed: int) -> None:
    detections, ground_truths = random_scenes(seed, n_images=8, n_classes=4)
    matches = match(detections, ground_truths, 5)
    area = precision_at(matches).mean(axis=1)
    np.testing.assert_allclose(area, ap_table(matches)[:, 0], atol=1e-12)


def test_labels_stand_left_and_what_was_found_right(dataset: DatasetRef, tmp_path: Path) -> None:
    samples, nothing = load_split(dataset, "val"), Scene(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0))
    sheets = []
    for name, found in (("all", right(samples)), ("none", [nothing] * len(samples))):
        (tmp_path / name).mkdir()
        files = drawn(found, samples, dataset.class_names, tmp_path / name)
        assert [p.name for p in files] == [CURVES, MATRIX, BOXES]
        sheets.append(picture(tmp_path / name / BOXES).astype(int))
    change = np.abs(sheets[0] - sheets[1]).max(axis=2)
    left, found = change[:, :SIDE], change[:, SIDE : 2 * SIDE]
    assert found.max() > 50, "boxes that are found are drawn"
    assert left.max() < 30, "labels are the same"


def test_encrypted_pictures_are_not_shown(dataset: DatasetRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = load_split(dataset, "val")
    monkeypatch.setattr(encryption, "is_secret", lambda path: True)
    secret = [replace(s, image="nowhere") for s in samples]
    files = drawn(right(samples), secret, dataset.class_names, tmp_path)
    assert [p.name for p in files] == [CURVES, MATRIX]
    assert not (tmp_path / BOXES).exists()


def test_pictures_of_a_loader_that_forbids_it_are_not_shown(
    dataset: DatasetRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = load_split(dataset, "val")
    monkeypatch.setattr(image_loaders, "may_be_shown", lambda: False)
    assert [p.name for p in drawn(right(samples), samples, dataset.class_names, tmp_path)] == [CURVES, MATRIX]


def test_many_classes_are_added_up(tmp_path: Path) -> None:
    detections, ground_truths = random_scenes(1, n_images=8, n_classes=70)
    blank = np.full((100, 100, 3), 255, np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), blank)
    none = np.zeros(0, np.int64)
    rest = (np.zeros((0, 4)), none, none.astype(bool))
    samples = [
        Sample(str(tmp_path / "a.png"), g.boxes, g.classes, 100, 100, np.ones(len(g.boxes)), *rest)
        for g in ground_truths
    ]
    drawn(detections, samples, [f"class {i}" for i in range(71)], tmp_path)
    height, width = picture(tmp_path / MATRIX).shape[:2]
    assert max(height, width) < 1200
