"""Augmentation: boxes stay where their objects are."""

from __future__ import annotations

import numpy as np
import pytest

from src.config.training import AugmentConfig
from src.models.torchvision.images import Fitted, augmented, homography, moved

SIDE = 96


def pictured(*box: int) -> Fitted:
    """A white box on black."""
    pixels = np.zeros((3, SIDE, SIDE), np.uint8)
    x1, y1, x2, y2 = box
    pixels[:, y1:y2, x1:x2] = 255
    return Fitted(pixels, np.array([box], float), np.array([4]), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "recipe",
    [
        AugmentConfig(fliplr=1),
        AugmentConfig(flipud=1),
        AugmentConfig(scale=0.3, translate=0.1),
        AugmentConfig(degrees=20),
        AugmentConfig(shear=10),
        AugmentConfig(perspective=0.001),
        AugmentConfig(scale=0.2, translate=0.1, degrees=10, shear=5, perspective=0.0005, fliplr=0.5, flipud=0.5),
    ],
    ids=lambda a: "-".join(k for k, v in vars(a).items() if k != "name" and v),
)
def test_boxes_follow_the_picture(recipe: AugmentConfig) -> None:
    moves = 0.0
    for seed in range(8):
        image, boxes, classes = augmented(pictured(54, 56, 76, 70), recipe, np.random.default_rng(seed))
        ys, xs = np.nonzero(image[0] > 200) if not recipe.translate else np.nonzero(image[0] > 130)
        np.testing.assert_allclose(boxes[0], [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], atol=1.6)
        assert list(classes) == [4]
        moves = max(moves, float(np.abs(boxes[0] - [54, 56, 76, 70]).max()))
    assert moves > 0.5, "something is done to it"


def test_a_box_that_leaves_the_picture_goes() -> None:
    item = pictured(1, 1, 9, 9)
    away = Fitted(item.pixels, np.array([[100.0, 100, 110, 110]]), item.classes, item.transform)
    assert not len(augmented(away, AugmentConfig(), np.random.default_rng(0))[1])


def test_nothing_asked_for_changes_nothing() -> None:
    item = pictured(10, 10, 30, 30)
    image, boxes, _ = augmented(item, AugmentConfig(), np.random.default_rng(0))
    assert (image == item.pixels).all()
    assert (boxes == item.boxes).all()
    still = homography(AugmentConfig(), np.random.default_rng(0), SIDE, SIDE)
    np.testing.assert_allclose(still, np.eye(3), atol=1e-12)
    image, boxes = moved(item.pixels, item.boxes, still)
    np.testing.assert_allclose(boxes, item.boxes, atol=1e-4)
    assert np.abs(image.astype(int) - item.pixels).max() <= 1


def test_colours_change_and_white_stays_white() -> None:
    item = pictured(10, 10, 30, 30)
    item.pixels[1:, :, 50:] = 40
    item.pixels[0, :, 50:] = 200
    recipe = AugmentConfig(hsv_h=0.1, hsv_s=0.5)
    image, boxes, _ = augmented(item, recipe, np.random.default_rng(1))
    assert (image[:, 10:30, 10:30] == 255).all()
    assert np.abs(image[:, :, 50:].astype(int) - item.pixels[:, :, 50:]).max() > 10
    assert (boxes == item.boxes).all()
    swapped, _, _ = augmented(item, AugmentConfig(bgr=1), np.random.default_rng(1))
    assert (swapped == item.pixels[::-1]).all()
