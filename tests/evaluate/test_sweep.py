"""From saved detections to evaluation records and the dashboard."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from src.common.errors import UserError
from src.evaluate import (
    evaluate,
    evaluate_in_depth,
    evaluate_sweep,
    load_ground_truth,
    save_ground_truth,
)
from src.evaluate.in_depth import Subject
from src.evaluate.terminal import dashboard
from src.records.schema import TrialRecord
from src.records.store import load
from src.records.sweep_folder import SweepFolder
from tests.conftest import run_command
from tests.evaluate.scenes import Scene, random_scenes
from tests.report.factory import DATASET, ONNX, PYTORCH, Sweep, finalist, trial

SUBJECT = Subject("friday", 0, "r", "onnx", "fp32", "a" * 64, "onnxruntime", "val", "f" * 64, ["a", "b", "c"])


def save_detections(path: Path, found: list[Scene]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        image_index=np.repeat(np.arange(len(found)), [len(d.classes) for d in found]),
        boxes=np.concatenate([d.boxes for d in found]),
        scores=np.concatenate([d.scores for d in found]),
        classes=np.concatenate([d.classes for d in found]),
    )


def saved_sweep(tmp_path: Path) -> Path:
    """A sweep with one finalist, its detections and the ground truth."""
    one = trial(0)
    record = finalist(one, (PYTORCH, ONNX))
    folder = Sweep([one], [record]).write(tmp_path)
    for seed, split in enumerate(("val", "test")):
        detections, ground_truths = random_scenes(seed, 25, 10)
        save_ground_truth(SweepFolder(folder).ground_truth(DATASET.fingerprint, split), ground_truths)
        for v in record.verifications:
            if v.split == split:
                save_detections(folder / v.detections_file, detections)
    return folder


def test_the_evaluation_in_depth_holds_the_same_figures_as_the_evaluation() -> None:
    detections, ground_truths = random_scenes(2, 40, 3)
    record = evaluate_in_depth(SUBJECT, detections, ground_truths, resamples=100)
    metrics = evaluate(detections, ground_truths, 3)
    assert record.figures["mAP50-95"] == metrics.map50_95
    assert record.figures["threshold"] == metrics.threshold
    assert record.intervals["mAP50-95"][0] < metrics.map50_95 < record.intervals["mAP50-95"][1]
    assert len(record.resamples) == 100
    assert [c["name"] for c in record.per_class] == ["a", "b", "c"]
    assert sum(c["truths"] for c in record.per_class) == sum(len(t.classes) for t in ground_truths)
    assert record.figures["f1"] >= max(row[3] for row in record.curve)
    at = {row[0]: row for row in record.curve}
    assert len(at) == 59


def test_no_detections_and_no_truths_make_a_record() -> None:
    nothing = Scene(np.empty((0, 4)), np.empty(0, np.int64), np.empty(0))
    assert evaluate_in_depth(SUBJECT, [nothing], [nothing], resamples=5).curve == []
    assert math.isnan(evaluate_in_depth(SUBJECT, [nothing], [nothing], resamples=5).figures["mAP50-95"])


def test_truths_survive_saving(tmp_path: Path) -> None:
    _, ground_truths = random_scenes(0, 12, 4)
    save_ground_truth(tmp_path / "t.npz", ground_truths)
    back = load_ground_truth(tmp_path / "t.npz")
    assert len(back) == 12
    assert all(np.array_equal(a.boxes, b.boxes) for a, b in zip(ground_truths, back, strict=True))


def test_every_verification_is_evaluated_and_kept(tmp_path: Path) -> None:
    folder = saved_sweep(tmp_path)
    said: list[str] = []
    found = evaluate_sweep(folder, say=said.append)
    assert len(found) == len(said) == 4
    assert {(r.split, r.precision, r.runtime) for r in found} == {
        (split, "fp32", runtime) for split in ("val", "test") for runtime in ("pytorch", "onnxruntime")
    }
    again = evaluate_sweep(folder, say=said.append)
    assert len(said) == 4
    assert [r.figures for r in again] == [r.figures for r in found]
    assert evaluate_sweep(folder, production=0.4)[0].figures["threshold@production"] == 0.4


def test_missing_truth_is_a_user_error(tmp_path: Path) -> None:
    folder = saved_sweep(tmp_path)
    SweepFolder(folder).ground_truth(DATASET.fingerprint, "val").unlink()
    with pytest.raises(UserError, match="can't be read"):
        evaluate_sweep(folder)


def test_torn_detections_are_a_user_error(tmp_path: Path) -> None:
    folder = saved_sweep(tmp_path)
    path = next(folder.glob("trials/*/detections/*.npz"))
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match="can't be read"):
        evaluate_sweep(folder)


def test_the_dashboard_shows_every_part(tmp_path: Path) -> None:
    folder = saved_sweep(tmp_path)
    console = Console(width=100, record=True, quiet=False, file=(tmp_path / "out").open("w"))
    console.print(dashboard(load(TrialRecord, folder / "trials/0000/record.json"), evaluate_sweep(folder)))
    text = console.export_text()
    for word in ("mAP50-95", "95 % interval", "AR@100", "localisation", "missed", "confused:", "train/box_loss", "█"):
        assert word in text, word


def test_the_command(tmp_path: Path) -> None:
    saved_sweep(tmp_path)
    done = run_command("src.evaluate", f"outputs={tmp_path}", "sweep=latest")
    assert done.returncode == 0, done.stderr
    assert "localisation" in done.stdout
    done = run_command("src.evaluate", f"outputs={tmp_path}", "sweep=no")
    assert done.returncode == 2
    assert "friday" in done.stderr
