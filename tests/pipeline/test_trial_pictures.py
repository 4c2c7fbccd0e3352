"""A trial's pictures: drawn once, from what is recorded, when there is time; and none is worth a trial."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.config.schema import plain_config
from src.data import load_split, resolve
from src.models.base import Start
from src.pipeline import sweep, trial_pictures
from src.pipeline.accuracy import trained_detections
from src.pipeline.context import Context
from src.pipeline.one_trial import Trial
from src.pipeline.trial_pictures import SHORT_S, Waiting, draw_missing, draw_now, may_wait, wanted
from src.records.schema import TrialRecord
from src.records.sweep_folder import TrialFolder
from src.sweeper.loop import Outcome
from src.track.protocol import NullRun, NullTracker
from tests.configurations import typed
from tests.data.builders import config, yolo_set
from tests.report import factory

FILES = {"boxes.jpg", "confusion_matrix.png", "curves.png", "results.png"}


class Tracker(NullTracker):
    """Remembers what is attached to which run."""

    def __init__(self) -> None:
        self.attached: dict[str, set[str]] = {}

    def attach(self, run_id: str, paths: Any, folder: str) -> None:
        self.attached[run_id] = {path.name for path in paths}


class Sweep:
    """A sweep's folder with trials that are trained and not drawn."""

    def __init__(self, home: Path) -> None:
        data = config("yolo", path=yolo_set(home / "mine", {"train": 2, "val": 3}, names=("cat", "dog")))
        self.dataset, self.cfg = resolve(data, home / "o"), typed()
        self.cfg.data = data
        self.tracker = Tracker()
        self.context = Context("s", home / "s", home, self.tracker, "", 1)

    def trained(self, number: int, *, wait: bool = True) -> tuple[Trial, TrialRecord]:
        folder = self.context.trial_folder(number)
        (folder / "train").mkdir(parents=True)
        samples = load_split(self.dataset, "val")
        rows = [(i, box, c) for i, s in enumerate(samples) for box, c in zip(s.boxes, s.classes, strict=True)]
        path = trained_detections(folder)
        path.parent.mkdir()
        arrays: dict[str, Any] = {"image_index": [r[0] for r in rows], "boxes": [r[1] for r in rows]}
        np.savez(path, **arrays, classes=[r[2] for r in rows], scores=np.full(len(rows), 0.9))
        history = [{"epoch": 1.0, "train/box_loss": 2.0, "val/mAP50-95": 0.4, "lr": 0.01}]
        record = replace(factory.trial(number), config=plain_config(self.cfg), history=history, run_id=f"run{number}")
        trial = Trial(number, [], self.cfg, self.dataset, Start(None, "scratch"), folder, pictures_wait=wait)
        return trial, record


@pytest.fixture
def there(tmp_path: Path) -> Sweep:
    return Sweep(tmp_path)


def drawn(trial: Trial) -> set[str]:
    return {path.name for path in TrialFolder(trial.folder).train.iterdir()}


def test_those_that_wait_are_drawn_one_by_one_and_reach_their_runs(there: Sweep) -> None:
    waiting, trials = Waiting(there.context), [there.trained(number) for number in range(3)]
    for trial, record in trials:
        waiting.note(trial, record)
    assert waiting.draw_one()
    assert [drawn(trial) for trial, _ in trials] == [FILES, set(), set()]
    waiting.draw_all()
    assert [drawn(trial) for trial, _ in trials] == [FILES] * 3
    assert there.tracker.attached == {f"run{n}": FILES for n in range(3)}
    assert not waiting.draw_one()


def test_a_worker_draws_while_it_has_no_training_to_take(there: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    (trial, record), (second, later) = there.trained(0), there.trained(1)
    told: list[Any] = []

    class Runner:
        def __init__(self, *_: Any, on_trained: Any, **__: Any) -> None:
            told.append(on_trained)

        run = lost = give_up = None

    def work(study: Any, run: Any, *, idle: Any, **_: Any) -> Outcome | None:
        for one in ((trial, record), (second, later)):
            told[0](*one)
        idle(0.0)
        assert (drawn(trial), drawn(second)) == (FILES, set()), "others may leave a training to take at any time"
        return None

    monkeypatch.setattr(sweep, "CellRunner", Runner)
    monkeypatch.setattr(sweep, "Costs", lambda *_: None)
    monkeypatch.setattr(sweep, "work", work)
    request: Any = type("Request", (), {"trials": lambda self: 2, "base": there.cfg})()
    nothing: Any = None
    sweep._work(request, nothing, there.context, nothing)
    assert drawn(second) == FILES


def test_what_a_dead_worker_left_is_drawn_and_nothing_twice(there: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = [there.trained(number) for number in range(3)]
    draw_now(*trials[1], there.context, NullRun())
    before = (TrialFolder(trials[1][0].folder).train / "results.png").stat().st_mtime_ns
    failed = replace(trials[2][1], state="failed")
    monkeypatch.setattr(trial_pictures, "trial_of", lambda number, *_, **__: trials[number][0])
    request: Any = type("Request", (), {"config_of": lambda self, words: there.cfg})()
    nothing: Any = None
    draw_missing([trials[0][1], trials[1][1], failed], request, there.context, nothing)
    assert [drawn(trial) for trial, _ in trials] == [FILES, FILES, set()]
    assert (TrialFolder(trials[1][0].folder).train / "results.png").stat().st_mtime_ns == before
    assert set(there.tracker.attached) == {"run0"}


def test_a_picture_that_cannot_be_drawn_costs_itself(there: Sweep, caplog: pytest.LogCaptureFixture) -> None:
    (trial, record), (second, later) = there.trained(0), there.trained(1)
    trained_detections(trial.folder).write_bytes(b"torn")
    waiting = Waiting(there.context)
    waiting.note(trial, record)
    waiting.note(second, later)
    with caplog.at_level(logging.WARNING):
        waiting.draw_all()
    assert "trial 0 goes without some of its pictures" in caplog.text
    assert drawn(second) == FILES


def test_who_waits(there: Sweep) -> None:
    (short, record), (alone, other) = there.trained(0), there.trained(1, wait=False)
    assert may_wait(short, SHORT_S / 2), "a second is much of it"
    assert not may_wait(short, SHORT_S * 2), "it is news, and a second is little"
    assert not may_wait(alone, 1.0), "no other training wants the cores"
    assert wanted(record, short.folder)
    without = {**record.config, "train": {**record.config["train"], "plots": False}}
    assert not wanted(replace(record, config=without), short.folder)
    waiting = Waiting(there.context)
    waiting.note(alone, other)
    assert not waiting.draw_one()
