"""Tiles: they cover the picture, boxes come back to their place, and small objects of large scenes are found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src import runtime
from src.common.errors import UserError
from src.evaluate.costs import counts_at
from src.evaluate.matching import match
from src.inference import Detections, Detector, Float, Thresholds, load_image, suppress
from src.inference.detector import Runs
from src.inference.tiles import TiledDetector, starts, without_parts
from src.records.schema import Artifact
from src.records.tiling import Tiling
from tests.data.builders import picture
from tests.evaluate.scenes import Scene
from tests.predict.conftest import exported

SIDE, ACROSS, DOWN = 64, 6, 3  # px of a cell, which is the model's input, and cells of a scene: x and y differ


@pytest.fixture(scope="module")
def lively(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A detector that finds something in pictures."""
    return exported(tmp_path_factory, "onnx/fp32")


@pytest.mark.parametrize(
    ("length", "overlap", "expected"),
    [(64, 0.2, [0]), (30, 0.2, [0]), (128, 0.0, [0, 64]), (100, 0.5, [0, 32, 36]), (65, 0.0, [0, 1])],
)
def test_tiles_cover_a_side(length: int, overlap: float, expected: list[int]) -> None:
    assert starts(length, Tiling(64, overlap)) == expected


def scene(folder: Path, detector: Detector) -> tuple[np.ndarray, Scene]:
    """A large picture of small ones, with what the model finds in each of them at its own size as the objects."""
    rows, boxes, classes = [], [], []
    for y in range(DOWN):
        cells = [load_image(str(picture(folder / f"{y}-{x}.png", y * ACROSS + x, (SIDE, SIDE)))) for x in range(ACROSS)]
        for x, found in enumerate(detector([detector.prepare(cell) for cell in cells])):
            kept = suppress(found.boxes, found.classes, 0.7, 3000)  # the picture's edge makes boxes equal
            boxes.append(found.boxes[kept] + np.array([x, y, x, y]) * SIDE)
            classes.append(found.classes[kept])
        rows.append(np.concatenate(cells, axis=1))
    named = np.concatenate(classes)
    return np.concatenate(rows), Scene(np.concatenate(boxes).astype(np.float64), named, np.ones(len(named)))


def recall(found: Detections, objects: Scene) -> float:
    matches = match([found], [objects], 3, max_dets=10_000)
    counts = counts_at(matches, np.zeros(3))
    return float(counts.found.sum() / counts.objects.sum())


def test_tiles_find_in_a_large_scene_what_the_whole_picture_misses(lively: Artifact, tmp_path: Path) -> None:
    detector = Detector(
        runtime.load("onnxruntime", lively, threads=1), lively, Thresholds(conf=0.3, max_det=3000, multi_label=False)
    )
    image, objects = scene(tmp_path, detector)
    before = recall(detector([detector.prepare(image)])[0], objects)
    after = recall(TiledDetector(detector, Tiling(SIDE, 0.0))(image), objects)
    print(f"recall of {len(objects.classes)} objects: {before:.3f} before, {after:.3f} after")
    assert len(objects.classes) > 20
    assert before < 0.5
    assert after > 0.95


def test_a_picture_no_larger_than_a_tile_is_looked_at_once(lively: Artifact, tmp_path: Path) -> None:
    detector = Detector(runtime.load("onnxruntime", lively, threads=1), lively)
    image = load_image(str(picture(tmp_path / "a.png", 1, (SIDE, SIDE))))
    plain = detector([detector.prepare(image)])[0]
    tiled = TiledDetector(detector, Tiling(SIDE))(image)
    np.testing.assert_array_equal(tiled.boxes, plain.boxes)


def test_a_part_goes_where_a_surer_box_holds_it_and_another_class_stays() -> None:
    boxes = np.array([[0, 0, 100, 100], [0, 0, 100, 20], [0, 0, 100, 20], [200, 0, 300, 100]], np.float32)
    assert without_parts(boxes, np.array([0, 0, 1, 0]), 0.5).tolist() == [0, 2, 3]


class Counting:
    """Runs a session and notes how many pictures each call had."""

    def __init__(self, session: Runs) -> None:
        self.session, self.calls = session, list[int]()

    def run(self, x: Float) -> list[Float]:
        self.calls.append(len(x))
        return self.session.run(x)


def large(folder: Path) -> np.ndarray:
    return load_image(str(picture(folder / "large.png", 3, (SIDE * 3, SIDE * 2))))


@pytest.mark.parametrize(("fixed", "batch", "calls"), [(0, 4, [1, 4, 2]), (4, 1, [4, 4, 4]), (1, 8, [1] * 7)])
def test_tiles_go_in_calls_of_as_many_as_asked_for_or_the_file_insists_on(
    lively: Artifact, tmp_path: Path, fixed: int, batch: int, calls: list[int]
) -> None:
    shape = lively.input
    assert shape is not None
    session = Counting(runtime.load("onnxruntime", lively, threads=1))
    detector = Detector(session, replace(lively, input=replace(shape, batch=fixed)))
    found = TiledDetector(detector, Tiling(SIDE, 0.0, batch=batch))(large(tmp_path))
    assert session.calls == calls, "the whole, then six tiles; what a file insists on is filled up"
    one = Detector(session, replace(lively, input=replace(shape, batch=0)))
    alone = TiledDetector(one, Tiling(SIDE, 0.0))(large(tmp_path))
    np.testing.assert_allclose(found.scores, alone.scores, atol=1e-4)


def test_the_colours_order_and_what_takes_the_time_reach_every_tile(lively: Artifact, tmp_path: Path) -> None:
    tiled = TiledDetector(Detector(runtime.load("onnxruntime", lively, threads=1), lively), Tiling(SIDE, 0.0))
    image, laps = large(tmp_path), list[str]()
    plain = tiled(image, lap=laps.append)
    turned = tiled(np.ascontiguousarray(image[..., ::-1]), bgr=True)
    np.testing.assert_array_equal(plain.boxes, turned.boxes)
    assert laps == ["preprocess", "inference", "postprocess"] * 7 + ["postprocess"]


@pytest.mark.parametrize("task", ["obb", "segment", "pose"])
def test_models_of_more_than_boxes_are_refused(lively: Artifact, task: str) -> None:
    output = lively.output
    assert output is not None
    detector = Detector(runtime.load("null", lively, threads=1), replace(lively, output=replace(output, task=task)))
    with pytest.raises(UserError, match=task) as told:
        TiledDetector(detector, Tiling(SIDE))
    assert "leave tile out" in told.value.remedy
