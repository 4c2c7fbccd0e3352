"""The shared detection path against Ultralytics' own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from src import inference
from src.common.errors import UserError
from src.inference import LAYOUTS, Input, LayoutError, Output, decode_one, nms


def _noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(64, 64), (48, 80), (81, 37), (333, 500), (20, 21), (128, 128)])
def test_letterbox_is_that_of_ultralytics_validation(shape: tuple[int, int], tmp_path: Path) -> None:
    from src.models.ultralytics.checkpoint import prepare_environment

    prepare_environment(tmp_path / "ultralytics")
    import cv2
    from ultralytics.cfg import get_cfg
    from ultralytics.data.build import build_yolo_dataset

    image = _noise(*shape)
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    path = tmp_path / "images" / "a.png"
    cv2.imwrite(str(path), image[..., ::-1])
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    cfg: Any = get_cfg(overrides={"imgsz": 64, "task": "detect"})
    data = {"names": {0: "a"}, "nc": 1, "channels": 3}
    dataset = build_yolo_dataset(cfg, str(tmp_path / "images"), 1, data, mode="val", rect=False)
    theirs = dataset[0]
    x, transform = inference.letterbox(inference.load_image(path), 64)
    assert np.array_equal(x, theirs["img"].numpy().astype(np.float32) * np.float32(1 / 255))
    (ratio_h, ratio_w), (pad_w, pad_h) = theirs["ratio_pad"]
    assert transform.gain == pytest.approx((ratio_w, ratio_h))
    assert transform.pad == (pad_w, pad_h)


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 400), st.integers(2, 400), st.sampled_from([32, 96, 160]), st.booleans())
def test_boxes_come_back_to_the_image(height: int, width: int, imgsz: int, stretch: bool) -> None:
    x, transform = inference.letterbox(_noise(height, width), imgsz, stretch=stretch)
    assert x.shape == (3, imgsz, imgsz)
    assert 0 <= x.min() <= x.max() <= 1
    left, top = transform.pad
    gain_x, gain_y = transform.gain
    corners = np.array([[left, top, left + width * gain_x, top + height * gain_y]], np.float32)
    assert transform.to_image(corners)[0] == pytest.approx([0, 0, width, height], abs=1e-2)


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 400), st.integers(2, 400), st.sampled_from([(96, 96), (64, 160), (160, 64)]))
def test_an_image_lies_at_the_upper_left_by_its_shorter_side(height: int, width: int, size: tuple[int, int]) -> None:
    image = np.full((height, width, 3), 255, np.uint8)
    x, transform = inference.fit(image, Input(*size, "shortest_side"))
    assert x.shape == (3, *size)
    assert transform.pad == (0, 0)
    gain_x, gain_y = transform.gain
    wide, high = round(width * gain_x), round(height * gain_y)
    assert min(wide, high) <= min(size)
    assert (wide <= size[1], high <= size[0]) == (True, True)
    near = min(high + 1, size[0]) == size[0] or min(wide + 1, size[1]) == size[1]
    assert near or min(wide, high) + 1 >= min(size), "as large as its shorter side or the input lets it be"
    assert (x[:, :high, :wide] == 1).all()
    assert not x[:, high:].any(), "the rest is black"
    assert not x[:, :, wide:].any()


def test_numbers_are_normalised_in_the_order_of_the_colours() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image[..., 0], image[..., 1] = 255, 51  # red, a little green
    mean, std = [0.5, 0.1, 0.0], [0.5, 0.1, 2.0]
    x, _ = inference.fit(image, Input(4, 4, mean=mean, std=std))
    assert x[:, 0, 0] == pytest.approx([1.0, 1.0, 0.0], abs=1e-6)
    y, _ = inference.fit(image, Input(4, 4, mean=mean, std=std, colour="bgr"))
    assert y[:, 0, 0] == pytest.approx([-1.0, 1.0, 0.5], abs=1e-6)
    z, _ = inference.fit(image[..., ::-1], Input(4, 4, mean=mean, std=std, colour="bgr"), bgr=True)
    assert np.array_equal(y, z)


def test_stretching_fills_an_input_that_is_no_square() -> None:
    x, transform = inference.fit(np.full((10, 40, 3), 255, np.uint8), Input(64, 32, "stretch"))
    assert (x == 1).all()
    assert transform.gain == (32 / 40, 64 / 10)


def test_letterbox_takes_either_order_of_colours_and_any_layout() -> None:
    image = _noise(64, 64)
    x, _ = inference.letterbox(image, 64)
    assert np.array_equal(x, image.transpose(2, 0, 1).astype(np.float32) * np.float32(1 / 255))
    assert np.array_equal(inference.letterbox(image, 64, bgr=True)[0], x[::-1])
    assert np.array_equal(inference.letterbox(image[..., ::-1], 64)[0], x[::-1]), "a view"


def _raw(seed: int, classes: int, anchors: int = 400) -> inference.Float:
    rng = np.random.default_rng(seed)
    centres, sizes = rng.uniform(0, 320, (2, anchors)), rng.uniform(10, 80, (2, anchors))
    scores = rng.uniform(0, 1, (classes, anchors)) ** 4
    return np.concatenate([centres, sizes, scores])[None].astype(np.float32)


@pytest.mark.parametrize("classes", [1, 3, 80])
@pytest.mark.parametrize("thresholds", [inference.VALIDATION, inference.DEPLOYMENT])
def test_decode_keeps_what_ultralytics_keeps(classes: int, thresholds: inference.Thresholds, tmp_path: Path) -> None:
    from src.models.ultralytics.checkpoint import prepare_environment

    prepare_environment(tmp_path)
    import torch
    from ultralytics.utils.nms import non_max_suppression

    raw = _raw(classes, classes, anchors=400 if classes < 80 else 100)
    theirs = non_max_suppression(
        torch.from_numpy(raw.copy()),
        thresholds.conf,
        thresholds.iou,
        multi_label=thresholds.multi_label,
        max_det=thresholds.max_det,
    )[0].numpy()
    boxes, scores, found = decode_one(raw, Output(), (320, 320), thresholds)
    assert len(scores) == len(theirs)
    assert np.allclose(scores, theirs[:, 4])
    assert np.array_equal(found, theirs[:, 5].astype(int))
    assert np.allclose(boxes, theirs[:, :4], atol=1e-3)


def test_suppression_leaves_other_classes_alone() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10], [20, 20, 30, 30]], np.float32)
    classes = np.array([0, 0, 1, 0], np.int64)
    assert inference.suppress(boxes, classes, 0.7, 300).tolist() == [0, 2, 3]
    assert inference.suppress(boxes, classes, 0.7, 2).tolist() == [0, 2]
    assert inference.suppress(boxes, classes, 0.95, 300).tolist() == [0, 1, 2, 3]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 3 * nms.BLOCK), st.integers(1, 3), st.sampled_from([1, 20, nms.BLOCK, 300]), st.integers())
def test_suppression_in_blocks_is_that_of_one_box_after_the_other(n: int, kinds: int, max_det: int, seed: int) -> None:
    rng = np.random.default_rng(seed % 2**32)
    corners = rng.uniform(0, 100, (n, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(5, 60, (n, 2))], 1).astype(np.float32)
    classes = rng.integers(0, kinds, n)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept: list[int] = []
    for i in range(n):
        sides = np.minimum(boxes[i, 2:], boxes[kept, 2:]) - np.maximum(boxes[i, :2], boxes[kept, :2])
        common = np.maximum(sides[:, 0], 0) * np.maximum(sides[:, 1], 0)
        over = common > 0.4 * (area[i] + area[kept] - common)
        if len(kept) < max_det and not (over & (classes[kept] == classes[i])).any():
            kept.append(i)
    assert inference.suppress(boxes, classes, 0.4, max_det).tolist() == kept


def test_unit_coordinates_give_the_same_boxes() -> None:
    raw = _raw(1, 3)
    unit = raw.copy()
    unit[:, :4] /= 320
    boxes, scores, classes = decode_one(raw, Output(), (320, 320))
    from_unit = decode_one(unit, LAYOUTS["dense_unit"], (320, 320))
    assert np.allclose(boxes, from_unit[0], atol=1e-3)
    assert np.array_equal(scores, from_unit[1])
    assert np.array_equal(classes, from_unit[2])


def test_listed_heads() -> None:
    rows = np.array([[[0.5, 0.5, 0.25, 0.5, 0.9, 2], [0.5, 0.5, 1, 1, 0.0001, 1]]], np.float32)
    boxes, scores, classes = decode_one(rows, LAYOUTS["queries"], (64, 64))
    assert boxes.tolist() == [[24, 16, 40, 48]]
    assert (scores.tolist(), classes.tolist()) == ([pytest.approx(0.9)], [2])
    assert decode_one(rows, LAYOUTS["end2end"], (64, 64))[0].tolist() == [[0.5, 0.5, 0.25, 0.5]]


def test_wrong_shape_is_refused() -> None:
    with pytest.raises(LayoutError, match="400 numbers per box"):
        decode_one(_raw(0, 3), LAYOUTS["queries"], (320, 320))


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n broken"])
def test_a_broken_image_names_its_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"broken\.png"):
        inference.load_image(path)
    with pytest.raises(UserError, match=r"missing\.png"):
        inference.load_image(tmp_path / "missing.png")
