"""What of an evaluation reaches MLflow: figures, classes, errors, threshold sweeps, the records and the dashboard."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from src.config.schema import TrackingConfig
from src.pipeline.context import Context
from src.pipeline.evaluations import figures_of, log_evaluations, renamed, sweep_of
from src.records.schema import EvaluationRecord
from src.track import Tracker, open_tracker, plain, segments
from tests.report.factory import DATASET, Sweep, evaluation, finalist, trial


def records(run_id: str = "") -> tuple[Sweep, list[EvaluationRecord]]:
    one = replace(trial(0), run_id=run_id, dataset=replace(DATASET, class_names=["a/../b", "été", "c d"]))
    made = finalist(one)
    return Sweep([one], [made]), [evaluation(one, v) for v in made.verifications]


def test_figures_keep_names_that_mlflow_takes() -> None:
    found = figures_of(records()[1][0])
    head = "eval/val/pytorch/pytorch/fp32"
    assert found[f"{head}/AR_100"] == 0.62
    assert found[f"{head}/f1_production"] == 0.6
    assert found[f"{head}/mAP50-95_low"] == pytest.approx(0.34)
    assert found[f"{head}/errors/missed"] == 70
    assert found[f"{head}/class/a____b/AP50-95"] == pytest.approx(0.4)
    assert found[f"{head}/class/c d/AP50"] == 0.7
    assert plain("") == "_"


def test_classes_keep_apart_what_mlflow_would_not() -> None:
    record = records()[1][0]
    names = ["安全帽", "反光衣", "a/b", "a_b", "Car", "car", "x" * 400, "x" * 400 + "y", "हेलमेट", "हलमट", "", "p", "p"]
    rows = [{"name": name, "truths": 1, "AP50-95": i / 100, "AP50": None} for i, name in enumerate(names)]
    found = figures_of(replace(record, per_class=rows))
    values = {n.split("/")[-2]: v for n, v in found.items() if "/class/" in n}
    assert sorted(values.values()) == [i / 100 for i in range(len(names))], "each class has a metric of its own"
    assert values["安全帽"] == 0.0
    assert values["反光衣"] == 0.01
    assert (values["a_b"], values["a_b_2"]) == (0.03, 0.02), "the name that needs no change keeps it"
    assert (values["Car"], values["car_2"]) == (0.04, 0.05)
    assert all(len(name) <= 250 for name in found)
    assert segments(names) == segments(names)
    text = renamed(replace(record, per_class=rows)) or ""
    assert "class/a_b_2\ta/b\n" in text
    assert renamed(replace(record, per_class=rows[:2])) is None


def test_the_sweep_has_a_step_for_each_threshold() -> None:
    found = sweep_of(records()[1][0])
    steps = [step for step, _ in found["eval/val/pytorch/pytorch/fp32/by_threshold/f1"]]
    assert steps == sorted(set(steps))
    assert len(steps) == 59
    assert dict(found["eval/val/pytorch/pytorch/fp32/by_threshold/f1"])[400] == pytest.approx(0.65)


class Kept:
    """A tracker and a run that keep what they are told."""

    run_id, last_epoch = "r", 0

    def __init__(self) -> None:
        self.told: dict[str, Any] = {}

    def resume(self, run_id: str) -> Kept:
        self.told["run"] = run_id
        return self

    def metrics(self, values: dict[str, float], step: int = 0) -> None:
        self.told.update(values)

    def series(self, values: dict[str, Any]) -> None:
        self.told.update(values)

    def folder(self, path: Path, folder: str) -> None:
        self.told[folder] = sorted(p.name for p in path.iterdir())

    def end(self, status: str = "FINISHED") -> None:
        self.told["status"] = status


def test_every_finalist_gets_its_evaluations(tmp_path: Path) -> None:
    sweep, found = records("abc")
    sweep.evaluations = found
    kept = Kept()
    context = Context("friday", sweep.write(tmp_path), tmp_path, cast(Tracker, kept), "", 1)
    log_evaluations(found, context)
    assert kept.told["run"] == "abc"
    assert kept.told["status"] == "FINISHED"
    assert len([n for n in kept.told["evaluation"] if n.endswith(".json")]) == len(found) == 6
    text = (context.trial_folder(0) / "evaluation" / "dashboard.txt").read_text()
    assert "errors at the best threshold" in text
    assert "val/mAP50-95" in text


def test_a_store_takes_all_of_it(tmp_path: Path) -> None:
    tracker = open_tracker(TrackingConfig(name="local", system_metrics=False), tmp_path)
    run = tracker.start("t")
    sweep, found = records(run.run_id)
    sweep.evaluations = found
    log_evaluations(found, Context("friday", sweep.write(tmp_path), tmp_path, tracker, "", 1))

    import mlflow

    client = mlflow.MlflowClient()
    history = client.get_metric_history(run.run_id, "eval/val/onnxruntime/onnx/int8/by_threshold/f1")
    assert len(history) == 59
    assert client.get_run(run.run_id).data.metrics["eval/test/onnxruntime/onnx/fp32/class/c d/AP50"] == 0.7
    names = {a.path for a in client.list_artifacts(run.run_id, "evaluation")}
    assert "evaluation/dashboard.txt" in names
    assert "evaluation/test-onnxruntime-onnx-int8.json" in names
    assert client.get_run(run.run_id).info.status == "FINISHED"
