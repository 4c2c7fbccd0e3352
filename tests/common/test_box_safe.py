"""Changes to an image leave its boxes whole, are drawn from the generator alone, and are as strong as asked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.common import box_safe

IMAGE = np.zeros((40, 60, 3), np.uint8)
IMAGE[10:20, 30:45] = (200, 120, 60)
BOXES = np.array([[30.0, 10.0, 45.0, 20.0]])


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("key", box_safe.KEYS)
def test_each_change_changes_the_image_and_follows_its_generator(key: str) -> None:
    asked = {key: {"blur": 3.0, "contrast": 0.9, "noise": 0.2, "crop": 0.4}[key]}
    before = IMAGE.copy()
    first, boxes = box_safe.changed(IMAGE, BOXES, asked, rng())
    assert first.shape == IMAGE.shape
    assert (first != IMAGE).any()
    assert (before == IMAGE).all(), "the source is left alone"
    again, same = box_safe.changed(IMAGE, BOXES, asked, rng())
    assert (first == again).all()
    assert (boxes == same).all()
    assert (box_safe.changed(IMAGE, BOXES, asked, rng(1))[0] != first).any()
    assert (boxes == BOXES).all() == (key != "crop")


def test_what_is_not_asked_for_draws_nothing() -> None:
    generator = rng()
    image, boxes = box_safe.changed(IMAGE, BOXES, {"noise": 0.0}, generator)
    assert image is IMAGE
    assert boxes is BOXES
    assert generator.random() == rng().random()


def test_noise_has_the_strength_that_it_is_told() -> None:
    grey = np.full((200, 200, 3), 128, np.uint8)
    assert float(box_safe.noisy(grey, 0.05, rng()).std()) == pytest.approx(0.05 * 255, rel=0.05)


def test_contrast_is_about_the_mean() -> None:
    image = np.array([[[100], [200]]], np.uint8)
    assert box_safe.contrasted(image, 0.5).flatten().tolist() == [125, 175]
    assert box_safe.contrasted(image, 3.0).flatten().tolist() == [0, 255]


@pytest.mark.parametrize("px", [1.0, 3.0, 6.0])
def test_a_blur_is_as_wide_as_it_is_told(px: float) -> None:
    edge = np.zeros((40, 200, 3), np.uint8)
    edge[:, 100:] = 255
    spread = np.diff(box_safe.blurred(edge, px)[20, :, 0].astype(float))  # of an edge: the blur's own shape
    at = np.arange(len(spread))
    middle = float((at * spread).sum() / spread.sum())
    assert float(np.sqrt(((at - middle) ** 2 * spread).sum() / spread.sum())) == pytest.approx(px, rel=0.1)
    assert box_safe.blurred(edge, 0.05) is edge


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 0.45), st.integers(0, 3))
def test_a_crop_never_cuts_a_box(seed: int, share: float, count: int) -> None:
    generator = np.random.default_rng(seed)
    corners = generator.uniform(0, 1, (count, 2, 2)) * (60, 40)
    boxes = np.hstack([corners.min(axis=1), corners.max(axis=1)])
    image, moved = box_safe.cropped(IMAGE, boxes, share, rng(seed))
    assert image.shape == IMAGE.shape
    assert (moved >= -1e-9).all()
    assert (moved <= np.array([60, 40, 60, 40]) + 1e-9).all()
    sizes, before = moved[:, 2:] - moved[:, :2], boxes[:, 2:] - boxes[:, :2]
    assert (sizes >= before - 1e-9).all(), "what is left is drawn larger, and nothing is cut off"


def test_boxes_lie_where_their_objects_have_gone() -> None:
    for seed in range(5):
        image, moved = box_safe.cropped(IMAGE, BOXES, 0.4, rng(seed))
        x1, y1, x2, y2 = moved[0].round().astype(int)
        bright = image[..., 0] > 100
        inside = bright[y1:y2, x1:x2]
        assert inside.mean() > 0.85
        assert bright.sum() - inside.sum() < 0.15 * bright.sum()
