"""Boxes are drawn where they are, in the colour of their class, on a copy."""

from __future__ import annotations

import numpy as np
import pytest

from src.inference import Detections
from src.predict.draw import colour, draw


def test_boxes_are_drawn_where_they_are() -> None:
    image = np.zeros((100, 120, 3), np.uint8)
    found = Detections(np.array([[20, 40, 80, 90]], np.float32), np.array([0.9], np.float32), np.array([3]))
    drawn = draw(image, found, str)
    assert not image.any()
    gap = np.abs(drawn.astype(int) - colour(3)).max(2)  # lines are smoothed
    assert (gap[90, 20:81] < 80).all(), "the lower edge"
    assert (gap[42:91, 80] < 80).all(), "the right edge"
    assert not drawn[45:85, 25:75].any(), "nothing within"
    assert not drawn[93:].any()
    assert drawn[:40].any(), "its name stands above"


def test_classes_differ_in_colour() -> None:
    tints = np.array([colour(i) for i in range(20)], int)
    gaps = np.abs(tints[:, None] - tints[None]).sum(2) + 1000 * np.eye(20, dtype=int)
    assert gaps.min() > 30


def test_names_of_other_scripts_are_drawn_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    image = np.zeros((80, 200, 3), np.uint8)
    found = Detections(np.array([[5, 40, 100, 75]], np.float32), np.array([0.9], np.float32), np.array([0]))
    names = ("каска", "маска", "class 0", "\U00013080")
    drawn = {name: draw(image, found, {0: name}.__getitem__) for name in names}
    assert not np.array_equal(drawn["каска"], drawn["маска"])
    assert "каска" not in caplog.text
    if "no font" in caplog.text:
        assert np.array_equal(drawn["\U00013080"], drawn["class 0"]), "by its number, where no font has the sign"
