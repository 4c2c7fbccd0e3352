"""What outputs mean: the same boxes written in every layout are found again, and what fits none is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from src.common.errors import UserError
from src.inference import LAYOUTS, Detector, Float, Input, LayoutError, Output, Thresholds, decode
from src.inference.layout import Declared, Tensor, box_counts, resolve
from src.inference.nms import enclosing
from src.records.model_io import resize_of
from src.records.schema import Artifact

SIZE = (128, 160)  # height, width
CLASSES = 3
BOXES = 420  # of an input of this size: 320 + 80 + 20
NAMES = ("a", "b", "c")
CONF = Thresholds(conf=0.3, multi_label=False)
TRUTH = np.array([[10, 20, 50, 60], [100, 30, 150, 90], [5, 70, 65, 120]], np.float32)
SCORES = np.array([0.9, 0.8, 0.7], np.float32)
IDS = np.array([2, 0, 1])


def centre(boxes: Float) -> Float:
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)


def unit(boxes: Float) -> Float:
    return np.asarray(boxes / np.array([160, 128, 160, 128]), np.float32)


def rows(count: int = BOXES, *, objectness: bool = False, extra: int = 0, corners: bool = False) -> Float:
    """[1, boxes, 4 + classes]: three boxes among others without a score."""
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 60, (count, 2))
    boxes = np.concatenate([low, low + rng.uniform(5, 60, (count, 2))], 1).astype(np.float32)
    scores = rng.uniform(0, 0.05, (count, CLASSES)).astype(np.float32)
    at = [3, 70, 250] if count > 250 else [3, 7, 12]
    boxes[at] = TRUTH
    scores[at, IDS] = SCORES
    first = boxes if corners else centre(boxes)
    parts = [first, np.ones((count, 1)), scores] if objectness else [first, scores]
    more = rng.uniform(-9, 150, (count, extra))
    return np.concatenate([*parts, more], 1)[None].astype(np.float32)


def listed(*, indexed: bool = False) -> Float:
    found = np.concatenate([TRUTH, SCORES[:, None], IDS[:, None]], 1).astype(np.float32)
    found = np.concatenate([found, np.zeros((37, 6), np.float32)])
    if indexed:
        found = found[:3]
        return np.concatenate([np.zeros((3, 1)), found[:, :4], found[:, 5:], found[:, 4:5]], 1).astype(np.float32)
    return found[None]


def logits(scores: Float, activation: str) -> Float:
    """Numbers of which the activation makes these scores; for a softmax the background comes last."""
    if activation == "sigmoid":
        return np.asarray(np.log(scores / (1 - scores)), np.float32)
    rest = 1 - scores.sum(-1, keepdims=True)
    return np.asarray(np.log(np.concatenate([scores, np.clip(rest, 1e-3, None)], -1)), np.float32)


def pair(kind: str) -> list[Float]:
    whole = rows(100, corners=True)
    boxes, scores = whole[..., :4], np.clip(whole[..., 4:], 1e-4, 1)
    scores = scores * np.float32(0.99)
    inside = unit(boxes[0])[None]
    middle = unit(centre(boxes[0]))[None]
    ahead = np.concatenate([1 - scores.sum(-1, keepdims=True), scores], -1)
    return {
        "detr": [logits(scores, "softmax"), middle],
        "detr_sigmoid": [logits(scores, "sigmoid"), middle],
        "ssd": [inside, np.clip(ahead, 0, 1).astype(np.float32)],
        "ssd_logits": [inside, np.log(np.clip(ahead, 1e-4, 1)).astype(np.float32)],
        "corner_scores": [scores.astype(np.float32), inside[:, :, None]],
    }[kind]


def whole(task: str = "", **more: object) -> Declared:
    return Declared(task=task, names=NAMES, **more)  # type: ignore[arg-type]


def halved(x: Float) -> Float:
    x[..., :4] = unit(x[0, :, :4])
    return x


CASES: dict[str, tuple[Declared, Callable[[], list[Float]], str]] = {
    "ultralytics": (whole("detect"), lambda: [rows().transpose(0, 2, 1)], "dense"),
    "no-metadata": (Declared(), lambda: [rows().transpose(0, 2, 1)], "dense"),
    "transposed": (whole("detect"), lambda: [rows()], "rows"),
    "segment": (
        whole("segment"),
        lambda: [rows(extra=32).transpose(0, 2, 1), np.zeros((1, 32, 32, 40), np.float32)],
        "dense",
    ),
    "masks-first": (
        whole("segment"),
        lambda: [np.zeros((1, 32, 32, 40), np.float32), rows(extra=32).transpose(0, 2, 1)],
        "dense",
    ),
    "pose": (whole("pose", keypoints=15), lambda: [rows(extra=15).transpose(0, 2, 1)], "dense"),
    "yolov5": (Declared(names=NAMES), lambda: [rows(3 * BOXES, objectness=True)], "objectness"),
    "yolov5-no-metadata": (Declared(), lambda: [rows(3 * BOXES, objectness=True)], "objectness"),
    "yolov5-transposed": (
        whole(),
        lambda: [rows(3 * BOXES, objectness=True).transpose(0, 2, 1)],
        "objectness_columns",
    ),
    "nms": (whole("detect", nms=True), lambda: [listed()], "end2end"),
    "end2end": (whole("detect", end2end=True), lambda: [listed()], "end2end"),
    "yolov10-of-its-authors": (whole("detect"), lambda: [listed()], "end2end"),
    "yolov7-with-nms": (whole(), lambda: [listed(indexed=True)], "indexed"),
    "litert": (whole("detect", unit=True), lambda: [halved(rows()).transpose(0, 2, 1)], "dense_unit"),
    "old-rtdetr": (whole("detect"), lambda: [halved(rows(300))], "query_scores"),
    "detr": (whole(), lambda: pair("detr"), "detr"),
    "detr-sigmoid": (whole(), lambda: pair("detr_sigmoid"), "detr_sigmoid"),
    "ssd": (whole(), lambda: pair("ssd"), "ssd"),
    "ssd-logits": (whole(), lambda: pair("ssd_logits"), "ssd_logits"),
    "yolov4": (whole(), lambda: pair("corner_scores"), "corner_scores"),
}


def tensors(outputs: list[Float]) -> list[Tensor]:
    """As a file declares them, pairs by the names that exporters give."""
    sums = [np.allclose(x.sum(-1), 1, atol=0.02) for x in outputs]
    names = [
        "boxes" if x.shape[-1] == 4 and x.max() < 2 and not one else "x" for x, one in zip(outputs, sums, strict=True)
    ]
    return [Tensor(name, x.shape) for name, x in zip(names, outputs, strict=True)]


@pytest.mark.parametrize("case", CASES)
def test_the_same_boxes_are_found_in_every_layout(case: str) -> None:
    declared, make, layout = CASES[case]
    outputs = make()
    found = resolve(declared, tensors(outputs), SIZE, lambda: outputs, 0)
    output = found.output
    assert replace(output, classes=0, task="", picks=[]) == LAYOUTS[layout]
    assert found.resize == resize_of(layout)
    boxes, scores, classes = decode(outputs, output, SIZE, CONF, every=True)[0]
    assert classes.tolist() == IDS.tolist()
    assert np.allclose(boxes, TRUTH, atol=1e-3)
    assert np.allclose(scores, SCORES, atol=0.03)  # the background takes its share


def test_boxes_with_an_angle_become_the_upright_boxes_around_them() -> None:
    turned = np.array([[80, 60, 40, 20, np.pi / 4], [80, 60, 40, 20, 0]], np.float32)
    side = (40 + 20) / np.sqrt(2) / 2
    assert np.allclose(enclosing(turned), [[80 - side, 60 - side, 80 + side, 60 + side], [60, 50, 100, 70]], atol=1e-4)
    raw = rows(extra=1)
    raw[..., -1] = np.pi / 2
    output = resolve(whole("obb"), [Tensor("o", (1, 8, BOXES))], SIZE, None).output
    boxes, _, classes = decode([raw.transpose(0, 2, 1)], output, SIZE, CONF)[0]
    assert classes.tolist() == IDS.tolist()
    half = (TRUTH[:, 2:] - TRUTH[:, :2])[:, ::-1] / 2
    middle = (TRUTH[:, 2:] + TRUTH[:, :2]) / 2
    assert np.allclose(boxes, np.concatenate([middle - half, middle + half], 1), atol=1e-3), "a quarter turn"


@pytest.mark.parametrize(
    ("declared", "shapes", "says"),
    [
        (Declared(task="classify", names=NAMES), [(1, 3)], "its task is 'classify'"),
        (whole("detect"), [(1, 39, BOXES)], "does not fit 3 classes"),
        (whole("pose", keypoints=15), [(1, 23, BOXES)], "does not fit 3 classes"),
        (whole("detect"), [(1, BOXES, 8)], "neither side"),  # YOLOX: what its input should be isn't told
        (whole("detect", nms=True), [(1, 7, BOXES)], "not 6"),
        (whole("segment", nms=True), [(1, 300, 6), (1, 32, 32, 40)], "not 38"),
        (whole("detect"), [(1, 3, 16, 20, 8), (1, 3, 8, 10, 8), (1, 3, 4, 5, 8)], r"\[1, 3, 16, 20, 8\]"),
        (Declared(), [(1, BOXES, 7)], "could mean several things"),
        (Declared(), [(1, 100, 4), (1, 100, 4)], "give names"),
        (Declared(task="pose"), [(1, 20, BOXES)], "no class names"),
    ],
    ids=str,
)
def test_what_is_not_understood_is_refused_with_its_shape(
    declared: Declared, shapes: list[tuple[int, ...]], says: str
) -> None:
    noise = [np.random.default_rng(0).normal(size=shape).astype(np.float32) for shape in shapes]
    with pytest.raises(LayoutError, match=says):
        resolve(declared, [Tensor("x", shape) for shape in shapes], SIZE, lambda: noise)


class Answers:
    """A session that always gives the same."""

    def __init__(self, *outputs: Float) -> None:
        self.outputs = list(outputs)
        self.batches: list[int] = []

    def run(self, x: Float) -> list[Float]:
        self.batches.append(len(x))
        return [np.repeat(item, len(x), 0) for item in self.outputs]


def detector(session: Answers, head: str = "dense", batch: int = -1, classes: int = CLASSES) -> Detector:
    shape, output = Input(*SIZE, batch=max(batch, 0)), replace(LAYOUTS[head], classes=classes)
    artifact = Artifact("onnx", "fp32", "dir/odd.onnx", "", 0, [batch, 3, *SIZE], 0.0, "", input=shape, output=output)
    return Detector(session, artifact, CONF)


def answer(output: Float, head: str) -> None:
    found = detector(Answers(output), head)
    found([found.prepare(np.zeros((128, 160, 3), np.uint8))])


def spoilt(column: int, value: float, make: Callable[[], Float]) -> Float:
    x = make()
    x[0, :2, column] = value
    return x


@pytest.mark.parametrize(
    ("head", "output", "says"),
    [
        ("rows", spoilt(4, 159.0, rows), "159, outside 0..1"),
        ("rows", spoilt(4, -3.0, rows), "-3, outside 0..1"),
        ("rows", spoilt(4, np.nan, rows), "nan"),
        ("end2end", spoilt(4, 125.0, listed), "125, outside 0..1"),
        ("end2end", spoilt(5, 79.0, listed), "class 79, but has names for 3"),
        ("end2end", spoilt(5, 0.5, listed), "class id is 0.5"),
        ("end2end", spoilt(5, -2.0, listed), "class id is -2"),
        ("rows", rows(extra=32), "39 numbers per box"),
        ("end2end", rows(), "7 numbers per box"),
    ],
)
def test_answers_of_another_kind_name_the_file(head: str, output: Float, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        answer(output, head)
    assert "odd.onnx" in str(caught.value)


@pytest.mark.parametrize("images", [1, 3, 4, 9])
def test_a_fixed_batch_is_filled_up(images: int) -> None:
    session = Answers(rows())
    found = detector(session, "rows", batch=4)
    results = found([found.prepare(np.zeros((128, 160, 3), np.uint8))] * images)
    assert len(results) == images
    assert set(session.batches) == {4}
    assert all(np.allclose(item.boxes, TRUTH, atol=1e-3) for item in results)


def test_numbers_of_boxes_follow_from_the_size() -> None:
    plain, anchored = box_counts((640, 640))
    assert 8400 in plain
    assert 25200 in anchored
    assert BOXES in box_counts(SIZE)[0]


def test_a_record_that_says_nothing_is_of_a_plain_yolo() -> None:
    found = Detector(Answers(), Artifact("onnx", "fp32", "x", "", 0, [-1, 3, 64, 96], 0.0, "", names=["a", "b"]))
    assert (found.input, found.output) == (Input(64, 96), Output(classes=2))
