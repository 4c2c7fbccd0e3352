"""Raw outputs of every layout of queries come out as the same boxes in px and scores by class."""

from __future__ import annotations

import numpy as np

from src.inference.comparable import comparable
from src.records.model_io import layout

SIZE = (80, 160)  # height, width
BOXES = np.array([[0.5, 0.25, 0.1, 0.2], [0.1, 0.9, 0.05, 0.1]], np.float32)
SCORES = np.array([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1]], np.float32)
IN_PIXELS = np.array([[80, 20, 16, 16], [16, 72, 8, 8]], np.float32)
EXPECTED = np.concatenate([IN_PIXELS, SCORES], axis=1).T


def test_a_pair_of_boxes_and_logits() -> None:
    logits = np.log(SCORES / (1 - SCORES))
    found = comparable([BOXES[None], logits[None]], layout("detr_sigmoid", 3), SIZE)
    assert found is not None
    np.testing.assert_allclose(found, EXPECTED, rtol=1e-5)


def test_the_class_for_nothing_is_left_out() -> None:
    nothing = np.concatenate([np.log(SCORES), np.full((2, 1), -20.0, np.float32)], axis=1)
    found = comparable([BOXES[None], nothing[None]], layout("detr", 3), SIZE)
    assert found is not None
    np.testing.assert_allclose(found, EXPECTED, rtol=1e-5)


def test_rows_of_scores_and_lists() -> None:
    rows = np.concatenate([BOXES, SCORES], axis=1)[None]
    found = comparable([rows], layout("query_scores", 3), SIZE)
    assert found is not None
    np.testing.assert_allclose(found, EXPECTED, rtol=1e-5)
    listed = np.concatenate([BOXES, np.array([[0.7, 1], [0.6, 0]], np.float32)], axis=1)[None]
    found = comparable([listed], layout("queries", 3), SIZE)
    assert found is not None
    np.testing.assert_allclose(found[4:].T, [[0, 0.7, 0], [0.6, 0, 0]], rtol=1e-6)
    np.testing.assert_allclose(found[:4].T, IN_PIXELS, rtol=1e-5)


def test_lists_that_suppression_chose_have_no_such_form() -> None:
    assert comparable([np.zeros((1, 5, 6), np.float32)], layout("end2end", 3), SIZE) is None
