"""Intervals over images: groups, rare classes, and where none is claimed. Coverage: the slow tier."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from src.evaluate import Matches, evaluate_in_depth, evaluate_sweep, match, save_ground_truth
from src.evaluate.bootstrap import image_weights, resample_classes
from src.evaluate.files import load_ground_truth
from src.evaluate.intervals import Interval, evidence, interval
from src.evaluate.matching import Ints
from src.evaluate.precision import ap_table, mean_of
from src.records.schema import EvaluationRecord
from src.records.store import from_json, to_json
from src.records.sweep_folder import SweepFolder
from tests.conftest import ROOT
from tests.evaluate.scenes import Scene, random_scenes
from tests.evaluate.test_sweep import SUBJECT, saved_sweep
from tests.report.factory import DATASET


def told(matches: Matches, groups: Ints | None = None) -> Interval:
    """The interval of mAP50-95."""
    table = resample_classes(matches, image_weights(matches.n_images, 300, groups=groups))[:, :, 0]
    return interval(mean_of(ap_table(matches)), table, evidence(matches, groups))


def with_rare(n_images: int, holding: int) -> tuple[list[Scene], list[Scene]]:
    """Scenes of two classes with a third that `holding` images hold once each, always found and well placed."""
    detections, ground_truths = random_scenes(3, n_images, 2)
    for i in range(holding):
        box = np.array([[900.0, 900.0, 950.0, 950.0]])
        detections[i], ground_truths[i] = (
            Scene(np.vstack([s.boxes, box]), np.r_[s.classes, 2], np.r_[s.scores, 0.99])
            for s in (detections[i], ground_truths[i])
        )
    return detections, ground_truths


def test_copies_of_images_are_no_further_evidence_once_they_are_grouped() -> None:
    detections, ground_truths = random_scenes(4, 15, 2)
    one = told(match(detections, ground_truths, 2))
    copies = match(detections * 4, ground_truths * 4, 2)
    grouped, loose = told(copies, np.tile(np.arange(15), 4)), told(copies)
    assert grouped.se == pytest.approx(one.se, rel=0.15)
    assert grouped.freedom <= 14
    assert loose.se < 0.65 * one.se
    assert loose.freedom > grouped.freedom


def test_freedom_follows_the_rarest_class() -> None:
    rare, often = (told(match(*with_rare(40, n), 3)) for n in (3, 30))
    assert rare.freedom < often.freedom <= 39


def test_a_rare_class_that_is_always_found_is_not_taken_for_certain() -> None:
    matches = match(*with_rare(40, 3), 3)
    table = resample_classes(matches, image_weights(40, 300))[:, :, 0]
    assert np.nanmax(table[:, 2]) == np.nanmin(table[:, 2])  # its resamples say that it never varies
    without = float(np.nansum(table[:, :2], axis=1).std(ddof=1)) / 3
    assert told(matches).se > 1.1 * without


@pytest.mark.parametrize("holding", [1, 2])
def test_no_interval_is_claimed_for_a_class_in_fewer_than_three_images(holding: int) -> None:
    record = evaluate_in_depth(SUBJECT, *with_rare(40, holding), resamples=100)
    assert all(math.isnan(v) for bounds in record.intervals.values() for v in bounds)
    assert record.interval_note == "fewer than 3 independent images hold c"
    assert record.standard_errors["mAP50-95"] > 0
    assert [row["groups"] for row in record.per_class][2] == holding
    back = from_json(EvaluationRecord, to_json(record))
    assert math.isnan(back.intervals["mAP50-95"][0])
    assert back.interval_note == record.interval_note


def test_three_images_of_one_video_are_one_piece_of_evidence() -> None:
    groups = np.r_[0, 0, 0, np.arange(1, 38)]
    record = evaluate_in_depth(SUBJECT, *with_rare(40, 3), resamples=100, groups=groups)
    assert record.n_groups == 38
    assert record.interval_note == "fewer than 3 independent images hold c"
    assert evaluate_in_depth(SUBJECT, *with_rare(40, 3), resamples=100).interval_note == ""


def test_one_unknown_class_among_many_does_not_forbid_an_interval() -> None:
    detections, ground_truths = random_scenes(5, 80, 12)
    kept = [
        Scene(t.boxes[t.classes != 11], t.classes[t.classes != 11], t.scores[t.classes != 11]) for t in ground_truths
    ]
    kept[0] = Scene(np.vstack([kept[0].boxes, [[0, 0, 9, 9]]]), np.r_[kept[0].classes, 11], np.r_[kept[0].scores, 1])
    got = told(match(detections, kept, 12))
    assert got.low < got.high


def test_two_groups_tell_nothing() -> None:
    got = told(match(*random_scenes(6, 20, 2), 2), np.arange(20) % 2)
    assert math.isnan(got.low)
    assert got.note == "the images are only 2 independent groups"


def test_bounds_are_cut_to_what_an_map_can_be() -> None:
    detections, ground_truths = with_rare(6, 3)
    for found in (ground_truths, [Scene(d.boxes + 40, d.classes, d.scores) for d in detections]):
        got = told(match(found, ground_truths, 3))
        assert 0 <= got.low <= got.high <= 1


def test_records_from_before_groups_are_read() -> None:
    raw = json.loads(to_json(evaluate_in_depth(SUBJECT, *random_scenes(2, 10, 3), resamples=5)))
    old = {k: v for k, v in raw.items() if k not in ("n_groups", "freedom", "interval_note")}
    record = from_json(EvaluationRecord, json.dumps(old))
    assert (record.n_groups, record.interval_note) == (0, "")
    assert math.isnan(record.freedom)


def test_other_groups_evaluate_again_and_missing_truths_keep_what_is_known(tmp_path: Path) -> None:
    folder = saved_sweep(tmp_path)
    first = evaluate_sweep(folder)
    ground_truth = SweepFolder(folder).ground_truth(DATASET.fingerprint, "val")
    ground_truths = load_ground_truth(ground_truth)
    save_ground_truth(ground_truth, ground_truths, [i // 5 for i in range(len(ground_truths))])
    again = evaluate_sweep(folder)
    assert {(r.split, r.n_groups) for r in again} == {("val", 5), ("test", 25)}
    assert [r.figures for r in again] == [r.figures for r in first]
    ground_truth.unlink()
    assert evaluate_sweep(folder) == again


def test_intervals_cost_no_scipy() -> None:
    code = "import sys; from src.evaluate import evaluate_in_depth; assert 'scipy' not in sys.modules, 'scipy'"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
