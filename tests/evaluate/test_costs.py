"""Thresholds by cost, by small cases worked out by hand and against every threshold tried."""

from __future__ import annotations

import numpy as np
import pytest

from src.evaluate.costs import Costs, choose_thresholds, confirmed, counts_at
from src.evaluate.matching import Matches, match
from tests.evaluate.scenes import Scene, random_scenes

FAR = np.array([[500.0, 500, 510, 510]])


def one_class() -> Matches:
    """Two objects: one found at 0.9, one at 0.3; false alarms at 0.6 and 0.2."""
    boxes = np.array([[0.0, 0, 10, 10], [50, 50, 60, 60]])
    found = Scene(np.vstack([boxes, FAR, FAR + 30]), np.zeros(4, np.int64), np.array([0.9, 0.3, 0.6, 0.2]))
    return match([found], [Scene(boxes, np.zeros(2, np.int64), np.ones(2))], 1)


@pytest.mark.parametrize(
    ("miss", "false_alarm", "threshold"),
    [(5.0, 1.0, 0.3), (1.0, 5.0, 0.9), (1.0, 1.0, 0.9)],
)
def test_by_hand(miss: float, false_alarm: float, threshold: float) -> None:
    assert choose_thresholds(one_class(), Costs(miss, false_alarm), 0.25).tolist() == pytest.approx([threshold])


def test_the_counts_at_a_threshold() -> None:
    counts = counts_at(one_class(), np.array([0.5]))
    assert (counts.objects.tolist(), counts.found.tolist(), counts.false_alarms.tolist()) == ([2], [1], [1])
    assert counts.cost(5, 1) == 6
    assert (counts.recall(0), counts.precision(0)) == (0.5, 0.5)


def test_a_class_without_objects_keeps_the_shared_threshold_and_one_of_false_alarms_alone_is_silenced() -> None:
    found = Scene(FAR, np.zeros(1, np.int64), np.array([0.7]))
    matches = match([found], [Scene(FAR - 400, np.zeros(1, np.int64), np.ones(1))], 2)
    chosen = choose_thresholds(matches, Costs(1, 1), 0.25)
    assert chosen[1] == 0.25
    assert counts_at(matches, chosen).false_alarms.sum() == 0


@pytest.mark.parametrize("tied", [False, True])
def test_no_threshold_is_cheaper(tied: bool) -> None:
    detections, ground_truths = random_scenes(5, 30, 3, tied=tied)
    matches, costs = match(detections, ground_truths, 3), Costs(3.0, 1.0)
    chosen = choose_thresholds(matches, costs, 0.25)
    least = counts_at(matches, chosen).cost(3, 1)
    for c in range(3):
        for score in [*np.unique(matches.dets.scores), 2.0]:
            tried = chosen.copy()
            tried[c] = score
            assert counts_at(matches, tried).cost(3, 1) >= least


def test_what_is_confirmed_is_of_the_other_images() -> None:
    chosen_on, judged_on = (match(*random_scenes(seed, 20 + seed, 3), 3) for seed in (1, 2))
    facts = confirmed(chosen_on, judged_on, Costs(4, 1), 0.5, ["a", "b", "c"])
    assert facts["n_images"] == 22
    assert facts["cost_per_class_chosen_on"] <= facts["cost_shared_chosen_on"]
    assert facts["cost_shared"] == counts_at(judged_on, np.full(3, 0.5)).cost(4, 1)
