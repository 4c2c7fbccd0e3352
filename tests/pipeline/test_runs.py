"""MLflow runs: one for every trial and sweep, whenever its process was killed, and none left open."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from src.config.schema import AppConfig
from src.config.training import ModelConfig, Training
from src.models import base
from src.models.base import EpochHook, Start, TrainResult
from src.pipeline import trial, trial_log
from src.pipeline.context import Context
from src.pipeline.one_trial import trial_of
from src.pipeline.runs import closing, start_once
from src.records.schema import DatasetRef
from src.track import RunLog
from src.track.protocol import NullRun
from tests.pipeline.families import WithoutNetwork, checkpoint_of


class Killed(BaseException):
    """Stands for SIGKILL: nothing is cleaned up."""


class FakeRun(NullRun):
    """A run that remembers how it ended."""

    def __init__(self, store: FakeTracker, run_id: str) -> None:
        self.store, self.run_id = store, run_id

    def params(self, values: Mapping[str, Any]) -> None:
        self.store.params.append(self.run_id)

    def end(self, status: str = "FINISHED") -> None:
        self.store.status[self.run_id] = status


class FakeTracker:
    """Keeps runs in memory; `fails` is raised after a run was made, before anyone knows its id."""

    def __init__(self) -> None:
        self.status: dict[str, str] = {}
        self.tags: dict[str, Mapping[str, str]] = {}
        self.params: list[str] = []
        self.fails: BaseException | None = None

    def start(
        self, name: str, *, parent: str = "", tags: Mapping[str, str] | None = None, monitor: bool = False
    ) -> RunLog:
        run_id = f"run{len(self.status)}"
        self.status[run_id], self.tags[run_id] = "RUNNING", tags or {}
        if self.fails is not None:
            raise self.fails
        return FakeRun(self, run_id)

    def resume(self, run_id: str, *, monitor: bool = False) -> RunLog:
        self.status[run_id] = "RUNNING"
        return FakeRun(self, run_id)

    def is_open(self, run_id: str) -> bool:
        return self.status[run_id] in ("RUNNING", "KILLED")

    def find(self, tag: str, value: str) -> str:
        return next((run for run, tags in self.tags.items() if tags.get(tag) == value), "")

    def end_run(self, run_id: str, status: str) -> None:
        self.status[run_id] = status

    def attach(self, run_id: str, paths: Sequence[Path], folder: str) -> None:
        pass

    def deliver(self, folder: Path, seconds: float = 60.0) -> int:
        return 0

    def close(self, seconds: float = 60.0) -> None:
        pass


@pytest.fixture
def tracker() -> FakeTracker:
    return FakeTracker()


@pytest.fixture
def context(tracker: FakeTracker, tmp_path: Path) -> Context:
    return Context("s", tmp_path, tmp_path, tracker, "", 1)


def test_a_run_whose_process_was_killed_before_it_knew_the_id_is_found_again(
    tracker: FakeTracker, context: Context
) -> None:
    tracker.fails = Killed()
    with pytest.raises(Killed):
        start_once(context, context.folder, "a", tags={})
    tracker.fails = None
    assert start_once(context, context.folder, "a", tags={}).run_id == "run0"
    assert len(tracker.status) == 1


def test_another_folder_of_the_same_name_gets_a_run_of_its_own(tracker: FakeTracker, context: Context) -> None:
    start_once(context, context.folder / "x", "a", tags={})
    assert start_once(context, context.folder / "y", "a", tags={}).run_id == "run1"


def test_an_interruption_while_a_run_is_made_leaves_none_open(tracker: FakeTracker, context: Context) -> None:
    tracker.fails = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        start_once(context, context.folder, "a", tags={})
    assert tracker.status == {"run0": "KILLED"}


@pytest.mark.parametrize(
    ("error", "status"), [(None, "FINISHED"), (KeyboardInterrupt(), "KILLED"), (ValueError(), "FAILED")]
)
def test_a_run_is_closed_whatever_happens(
    tracker: FakeTracker, context: Context, error: BaseException | None, status: str
) -> None:
    tracker.status["run0"] = "FINISHED"
    try:
        with closing(context, "run0"):
            assert tracker.status["run0"] == "RUNNING"
            if error is not None:
                raise error
    except (KeyboardInterrupt, ValueError):
        pass
    assert tracker.status["run0"] == status


def test_an_interruption_while_a_run_is_closed_leaves_it_closed(
    tracker: FakeTracker, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def end(run: FakeRun, status: str = "FINISHED") -> None:
        calls.append(status)
        if len(calls) == 1:
            raise KeyboardInterrupt
        tracker.end_run("run0", status)

    monkeypatch.setattr(FakeRun, "end", end)
    with pytest.raises(KeyboardInterrupt), closing(context, "run0"):
        pass
    assert tracker.status["run0"] == "FINISHED"


class Inputs:
    """No dataset, no weights."""

    def dataset(self, cfg: Any) -> None:
        return None

    def start(self, cfg: Any) -> Start:
        return Start(None, "scratch")


class KeepsState(WithoutNetwork):
    """Leaves a state that a killed training would go on from, and nothing else."""

    def train(
        self, training: Training, dataset: DatasetRef, start: Start, out: Path, threads: int, on_epoch: EpochHook
    ) -> TrainResult:
        (out / "state").mkdir(parents=True, exist_ok=True)
        return TrainResult(checkpoint_of(training, Path("x.pt"), "0", start, best_epoch=1), Path("x"), [])

    def forget_state(self, out: Path) -> None:
        shutil.rmtree(out / "state", ignore_errors=True)


FAMILY = KeepsState()


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A configuration, with the arithmetic of a trial taken out."""
    cfg = AppConfig(model=ModelConfig(name="m", architecture="y", pretrained="p"))
    monkeypatch.setattr(base, "MODULES", {"ultralytics": "tests.pipeline.test_runs"})
    monkeypatch.setattr(trial_log, "plain_config", lambda cfg: {})
    monkeypatch.setattr(trial_log, "identity", lambda cfg, **named: "0")
    monkeypatch.setattr(trial, "evaluate_checkpoint", lambda *_: ({"mAP50-95": 0.5}, Path()))
    return cfg


def run_trial(cfg: Any, context: Context) -> Any:
    made = trial_of(0, [], cfg, context, Inputs())  # type: ignore[arg-type]
    return trial.run_trial(made, context, lambda epoch, row: None)


def test_what_a_training_would_go_on_from_is_kept_until_the_trial_is_recorded(
    ready: Any, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = context.trial_folder(0) / "train" / "state"

    def die(*args: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(trial, "evaluate_checkpoint", die)
        with pytest.raises(Killed):
            run_trial(ready, context)
    assert state.is_dir(), "killed while it was evaluated, a training must not begin again"
    assert run_trial(ready, context).state == "complete"
    assert not state.exists()


def test_a_run_that_was_killed_before_it_had_its_parameters_gets_them(
    ready: Any, tracker: FakeTracker, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(self: Any, values: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(FakeRun, "params", die)
        with pytest.raises(Killed):
            run_trial(ready, context)
    run_trial(ready, context)
    assert tracker.params == ["run0"]
    assert tracker.status == {"run0": "FINISHED"}


@pytest.mark.parametrize("place", ["_log_training", "close"])
def test_an_interrupted_trial_leaves_no_open_run_and_is_settled_later(
    ready: Any, tracker: FakeTracker, context: Context, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def interrupt(*args: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trial, place, interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_trial(ready, context)
    assert tracker.status == {"run0": "KILLED"}
    if (done := trial_log.finished(context, 0)) is not None:
        trial_log.close_left_open(done, context)
    else:
        run_trial(ready, context)
    assert tracker.status == {"run0": "FINISHED"}


def test_what_a_killed_process_was_writing_is_cleared_away(ready: Any, context: Context) -> None:
    folder = context.trial_folder(0)
    (folder / "artifacts" / ".onnx-fp32.1.tmp").mkdir(parents=True)
    (folder / ".record.json.1.tmp").write_text("{")
    run_trial(ready, context)
    assert not list(folder.rglob(".*.tmp"))
