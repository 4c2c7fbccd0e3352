"""Tracking against a real MLflow store in a file."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest

from src.common.errors import UserError
from src.config.schema import TrackingConfig
from src.records.schema import DatasetRef
from src.track import MlflowRun, MlflowTracker, NullTracker, open_tracker, store_uri
from src.track.entries import flatten
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> MlflowTracker:
    made = open_tracker(TrackingConfig(name="local", system_interval_s=0.2), tmp_path_factory.mktemp("outputs"))
    assert isinstance(made, MlflowTracker)
    return made


def test_a_child_run_holds_what_it_was_given(tracker: MlflowTracker, tmp_path: Path) -> None:
    parent = tracker.start("sweep")
    child = tracker.start("0000", parent=parent.run_id, tags={"sweep": "s"}, monitor=False)
    child.params({"train": {"optimizer": "AdamW"}, "imgsz": 160})
    for epoch, value in enumerate([0.1, 0.2], 1):
        child.metrics({"val/mAP50-95": value, "bad": math.nan}, step=epoch)
    child.dataset(DatasetRef("digits", "x.yaml", "f" * 64, {"train": 3}, ["a"]))
    (tmp_path / "a.png").write_bytes(b"png")
    child.files([tmp_path / "a.png"], "training")
    child.end()
    run = tracker._client.get_run(child.run_id)
    assert run.data.tags["mlflow.parentRunId"] == parent.run_id
    assert run.data.params == {"train.optimizer": "AdamW", "imgsz": "160"}
    assert run.data.metrics == {"val/mAP50-95": 0.2}
    assert [m.step for m in tracker._client.get_metric_history(child.run_id, "val/mAP50-95")] == [1, 2]
    assert run.inputs is not None
    assert run.inputs.dataset_inputs[0].dataset.digest == "f" * 36
    assert [f.path for f in tracker._client.list_artifacts(child.run_id, "training")] == ["training/a.png"]
    assert run.info.status == "FINISHED"


def test_what_is_attached_to_an_ended_run_leaves_it_ended(tracker: MlflowTracker, tmp_path: Path) -> None:
    run = tracker.start("0001")
    run.end()
    ended = tracker._client.get_run(run.run_id).info.end_time
    (tmp_path / "late.png").write_bytes(b"png")
    tracker.attach(run.run_id, [tmp_path / "late.png"], "training")
    assert [f.path for f in tracker._client.list_artifacts(run.run_id, "training")] == ["training/late.png"]
    after = tracker._client.get_run(run.run_id).info
    assert (after.status, after.end_time) == ("FINISHED", ended)


def test_the_ui_opens_the_experiment_as_model_training(tracker: MlflowTracker) -> None:
    experiment = tracker._client.get_experiment_by_name("detsweep")
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def test_system_metrics_reach_the_run(tracker: MlflowTracker) -> None:
    import time

    run = tracker.start("monitored", monitor=True)
    time.sleep(1.5)
    run.end("KILLED")
    stored = tracker._client.get_run(run.run_id)
    assert any(name.startswith("system/cpu") for name in stored.data.metrics)
    assert stored.info.status == "KILLED"


def test_secrets_never_arrive(tracker: MlflowTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "canary-env")
    run = tracker.start("x canary-env", tags={"note": "canary-env"})
    run.params({"tracking": {"uri": "https://me:canary-url@host/"}, "password": "canary-key", "text": "canary-env"})
    run.tags({"later": "canary-env"})
    run.end()
    stored = tracker._client.get_run(run.run_id)
    assert "canary" not in str(stored.data.params) + str(stored.data.tags) + str(stored.info.run_name)
    assert stored.data.params["password"] == "***"


def test_a_run_is_continued_and_not_started_again(tracker: MlflowTracker) -> None:
    run = tracker.start("first")
    run.end("KILLED")
    again = tracker.resume(run.run_id)
    assert isinstance(again, MlflowRun)
    again.metrics({"a": 1.0})
    again.end()
    assert tracker._client.get_run(run.run_id).info.status == "FINISHED"


def test_the_store_is_a_file_unless_told_otherwise(tmp_path: Path) -> None:
    assert store_uri(TrackingConfig(), tmp_path / "o") == f"sqlite:///{tmp_path}/o/mlflow.db"
    with pytest.raises(UserError, match=r"tracking\.uri"):
        store_uri(TrackingConfig(uri="file:///tmp/mlruns"), tmp_path)


def test_tracking_can_be_off(tmp_path: Path) -> None:
    tracker = open_tracker(TrackingConfig(enabled=False), tmp_path)
    assert isinstance(tracker, NullTracker)
    run = tracker.start("x")
    run.metrics({"a": 1.0})
    run.end()
    assert run.run_id == ""
    assert list(tmp_path.iterdir()) == []


def test_flatten_joins_keys_with_dots() -> None:
    assert flatten({"a": {"b": 1, "c": {"d": [1]}}, "e": None}) == {"a.b": 1, "a.c.d": [1], "e": None}


def test_a_database_that_is_not_there_is_told_before_training(tmp_path: Path) -> None:
    cfg = TrackingConfig(name="x", uri="postgresql+psycopg://sweep:hunter2@127.0.0.1:1/runs")
    with pytest.raises(UserError, match=r"tracking\.uri") as told:
        open_tracker(cfg, tmp_path)
    assert "hunter2" not in str(told.value)


KILLED_WHILE_MADE = """
import os, sys
from pathlib import Path
from sqlalchemy import event
from sqlalchemy.engine import Engine
from src.config.schema import TrackingConfig
from src.track import open_tracker

@event.listens_for(Engine, "after_cursor_execute")
def die(connection, cursor, statement, *rest):
    if "alembic_version" in statement and statement.startswith("INSERT"):
        os._exit(9)

open_tracker(TrackingConfig(name="local"), Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_a_store_whose_making_was_killed_is_made_again(tmp_path: Path) -> None:
    words = [sys.executable, "-c", KILLED_WHILE_MADE, str(tmp_path)]
    assert subprocess.run(words, cwd=ROOT, check=False, capture_output=True).returncode == 9
    run = open_tracker(TrackingConfig(name="local", system_metrics=False), tmp_path).start("a", tags={"k": "v"})
    assert run.run_id


def test_a_run_is_found_by_a_tag_and_counts_as_open_until_it_is_finished(tracker: MlflowTracker) -> None:
    run = tracker.start("findable", tags={"detsweep.key": "abc"})
    assert tracker.find("detsweep.key", "abc") == run.run_id
    assert tracker.find("detsweep.key", "abd") == ""
    for status, is_open in (("KILLED", True), ("FINISHED", False), ("FAILED", False)):
        tracker.end_run(run.run_id, status)
        assert tracker.is_open(run.run_id) is is_open
