"""Suppression across classes and soft suppression, by small cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.inference import Detections
from src.predict.suppress import agnostic, overlaps, soft


def three() -> Detections:
    """Two boxes of different classes with IoU 0.6 and one far away."""
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 6], [50, 50, 60, 60]], np.float32)
    return Detections(boxes, np.array([0.9, 0.8, 0.7], np.float32), np.array([0, 1, 0]))


def test_iou_by_hand() -> None:
    boxes = three().boxes
    assert overlaps(boxes[0], boxes) == pytest.approx([1.0, 0.6, 0.0])


def test_agnostic_suppression_looks_across_classes() -> None:
    assert agnostic(three(), 0.5, 300).scores.tolist() == pytest.approx([0.9, 0.7])
    assert len(agnostic(three(), 0.65, 300).scores) == 3
    assert len(agnostic(three(), 0.65, 2).scores) == 2


def test_soft_suppression_lowers_the_score_of_the_same_class() -> None:
    same = Detections(three().boxes, three().scores, np.zeros(3, np.int64))
    found = soft(same, 0.1, 300)
    assert found.scores.tolist() == pytest.approx([0.9, 0.7, 0.8 * np.exp(-0.36 / 0.5)])
    assert len(soft(same, 0.5, 300).scores) == 2
    assert soft(three(), 0.1, 300).scores.tolist() == pytest.approx([0.9, 0.8, 0.7])


@given(st.lists(st.tuples(*[st.floats(0, 100)] * 4, st.floats(0.01, 1), st.integers(0, 3)), max_size=20))
def test_soft_suppression_never_raises_a_score_or_invents_a_box(rows: list[tuple[float, ...]]) -> None:
    rows = sorted(rows, key=lambda r: -r[4])
    boxes = np.array([[x, y, x + w, y + h] for x, y, w, h, _, _ in rows], np.float32).reshape(-1, 4)
    given_boxes = Detections(boxes, np.array([r[4] for r in rows], np.float32), np.array([int(r[5]) for r in rows]))
    found = soft(given_boxes, 0.05, 300)
    assert len(found.scores) <= len(rows)
    assert all(found.scores[i] >= found.scores[i + 1] - 1e-6 for i in range(len(found.scores) - 1))
    assert (found.scores <= given_boxes.scores.max(initial=0) + 1e-6).all()
