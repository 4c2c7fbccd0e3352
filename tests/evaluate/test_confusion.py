"""Objects are named once: misnamed, or found rightly and also called something else."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from rich.console import Console

from src.evaluate import match
from src.evaluate.errors import Errors, split_errors
from src.evaluate.in_depth import evaluate_in_depth
from src.evaluate.terminal import confusion_tables, confusions_line, costs_table, files_dashboard, headings
from src.records.schema import EvaluationRecord
from src.records.store import from_json, to_json
from tests.evaluate.scenes import random_scenes, with_regions
from tests.evaluate.test_metrics import scene
from tests.evaluate.test_sweep import SUBJECT

TRUTH = [(0, 0, 100, 100, 0, 1), (200, 200, 300, 300, 1, 1)]


def errors_of(
    rows: Sequence[tuple[float, ...]], ground_truth: Sequence[tuple[float, ...]] = TRUTH, n_classes: int = 3
) -> Errors:
    return split_errors(match([scene(rows)], [scene(ground_truth)], n_classes), 0.5)


def test_an_object_found_rightly_is_not_misnamed() -> None:
    errors = errors_of([(0, 0, 100, 100, 0, 0.9), (0, 0, 100, 95, 1, 0.8), (0, 0, 100, 90, 1, 0.7)])
    assert errors.counts["class"] == 2
    assert errors.confusions == []
    assert errors.also_called == [(0, 1, 2)]
    assert errors.matrix.tolist() == [[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 2, 0, 0]]


def test_an_object_misnamed_twice_counts_once_by_the_best_score() -> None:
    errors = errors_of([(0, 0, 100, 100, 1, 0.7), (0, 0, 100, 95, 2, 0.8)])
    assert errors.counts["class"] == 2
    assert errors.confusions == [(0, 2, 1)]
    assert errors.also_called == []
    assert errors.matrix.tolist() == [[0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0, 0]]


def test_two_boxes_name_two_objects_that_lie_on_each_other() -> None:
    """Both boxes lie best on the first object; the second box takes the other one, as in COCO's matching."""
    ground_truth = [(0, 0, 100, 100, 0, 1), (0, 0, 100, 80, 1, 1)]
    errors = errors_of([(0, 0, 100, 100, 2, 0.9), (0, 0, 100, 97, 2, 0.8)], ground_truth)
    assert errors.confusions == [(0, 2, 1), (1, 2, 1)]
    assert errors.matrix[-1].tolist() == [0, 0, 0, 0]


def test_a_box_too_far_off_leaves_its_object_missed() -> None:
    errors = errors_of([(0, 0, 100, 45, 0, 0.9)])
    assert errors.counts["localisation"] == 1
    assert errors.matrix.tolist() == [[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0]]


@pytest.mark.parametrize("seed", range(4))
def test_every_object_and_every_box_stands_in_the_matrix_once(seed: int) -> None:
    detections, plain = random_scenes(seed, 60, 5)
    ground_truths = with_regions(plain, seed, 5)
    matches = match(detections, ground_truths, 5)
    errors = split_errors(matches, 0.4)
    counted = (matches.dets.scores >= 0.4) & ~matches.dropped[:, 0]
    assert errors.matrix[:-1].sum(axis=1).tolist() == np.bincount(matches.ground_truths.classes, minlength=5).tolist()
    assert (
        errors.matrix[:, :-1].sum(axis=0).tolist() == np.bincount(matches.dets.classes[counted], minlength=5).tolist()
    )
    assert np.trace(errors.matrix) == errors.true_positives
    assert errors.matrix[-1, -1] == 0
    misnamed = sum(n for _, _, n in errors.confusions)
    again = sum(n for _, _, n in errors.also_called)
    assert misnamed > 0
    assert again > 0
    assert misnamed + again <= errors.counts["class"]
    assert all(errors.matrix[a, b] == n for a, b, n in errors.confusions)
    off_diagonal = errors.matrix[:-1, :-1].sum() - np.trace(errors.matrix)
    assert off_diagonal == misnamed


def shown(*parts: object) -> str:
    console = Console(width=140, record=True, quiet=False, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(*parts)
    return console.export_text()


def test_the_dashboard_shows_the_matrix_and_old_records_have_none() -> None:
    found = [scene([(0, 0, 100, 100, 0, 0.9), (0, 0, 100, 95, 1, 0.92), (200, 200, 300, 300, 2, 0.95)])]
    record = evaluate_in_depth(SUBJECT, found, [scene(TRUTH)], resamples=5)
    assert record.confusions == [["b", "c", 1]]
    assert record.also_called == [["a", "b", 1]]
    assert record.confusion_matrix == [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0]]
    (table,) = confusion_tables(record, "onnx/fp32")
    text = shown(table, confusions_line(record))
    for words in ("b taken for c (1)", "a also called b (1)", "background", "missed"):
        assert words in text
    record.confusion_matrix.clear()
    assert confusion_tables(record, "onnx/fp32") == []
    assert "again=true" in shown(confusions_line(record))


def test_files_of_one_format_are_told_apart_by_their_number() -> None:
    record = evaluate_in_depth(SUBJECT, [scene(TRUTH)], [scene(TRUTH)], resamples=5)
    assert headings([record]) == [f"{record.format}/{record.precision}"]
    alike = f"{record.format}/{record.precision}"
    text = shown(files_dashboard(["a.pt", "b.pt"], [record, record], [], [{}, {}]))
    assert text.count(f"2: {alike}") == 4
    assert f"classes, 1: {alike}" in text


@pytest.mark.parametrize(("per_class", "said"), [(277, True), (198, True), (150, False)])
def test_thresholds_that_cost_no_less_are_advised_against(per_class: float, said: bool) -> None:
    costs = {
        "miss": 20, "false_alarm": 1, "shared_threshold": 0.25, "confirmed_on": "test", "chosen_on": "val",
        "thresholds": {"a": 0.5}, "cost_shared": 198, "cost_per_class": per_class,
        "missed_shared": 9, "missed_per_class": 1, "false_alarms_shared": 18, "false_alarms_per_class": 2,
    }  # fmt: skip
    assert ("keep the one threshold" in shown(costs_table("a.pt", costs))) == said


def test_records_of_earlier_versions_are_still_read() -> None:
    record = evaluate_in_depth(SUBJECT, [scene([])], [scene(TRUTH)], resamples=5)
    content = json.loads(to_json(record))
    del content["also_called"], content["confusion_matrix"]
    old = from_json(EvaluationRecord, json.dumps(content))
    assert (old.also_called, old.confusion_matrix) == ([], [])
    assert from_json(EvaluationRecord, to_json(record)).confusion_matrix == record.confusion_matrix


def test_of_many_classes_the_most_confused_are_shown_and_nothing_is_lost() -> None:
    detections, ground_truths = random_scenes(1, 60, 30)
    subject = type(SUBJECT)(**{**vars(SUBJECT), "class_names": [f"c{i}" for i in range(30)]})
    record = evaluate_in_depth(subject, detections, ground_truths, resamples=5)
    (table,) = confusion_tables(record, "onnx/fp32")
    assert len(table.columns) == 13  # names, ten classes, others, missed
    cells = [int(str(v)) for column in table.columns[1:] for v in column.cells if v != "·"]
    assert sum(cells) == sum(map(sum, record.confusion_matrix))
