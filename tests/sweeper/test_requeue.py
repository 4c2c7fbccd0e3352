"""A slot survives its worker: whenever that dies, the slot is finished once, with the values that it would have had."""

from __future__ import annotations

import contextlib
import importlib
from pathlib import Path
from typing import Any

import optuna
import pytest

from src.sweeper.lease import Lease
from src.sweeper.loop import Outcome, work
from src.sweeper.requeue import AFTER, ENDED, LEASE, MOST_DEATHS, SLOT, Requeue
from src.sweeper.space import Space, parse_space
from src.sweeper.storage import open_storage
from src.sweeper.study import Cell, Study
from tests.sweeper.test_study import taken

TPE = {"_target_": "optuna.samplers.TPESampler", "seed": 3, "n_startup_trials": 2}


class Killed(BaseException):
    """Stands for SIGKILL: nothing is cleaned up."""


def opened(folder: Path, space: Space, budget: int | None = None) -> Study:
    study = Study(open_storage(None, folder / "s.log"), space, TPE, budget)
    study.lay_out()
    return study


def grid() -> Space:
    return parse_space({}, ["imgsz=range(1,31)"], n_trials=None)


def pair(n: int) -> Space:
    return parse_space({}, ["lr=interval(0.0,1.0)", "batch=choice(1,2,4,8,16)"], n_trials=n)


def bury(study: Study, number: int) -> None:
    """Make a trial look as if its worker's process were gone."""
    lease = Lease.own().plain()
    trial = next(t for t in study._trials.all() if t.number == number)
    study._storage.set_trial_user_attr(trial._trial_id, LEASE, {**lease, "started": lease["started"] - 1})


def rest(study: Study) -> list[tuple[int, dict[str, Any]]]:
    """Run what is left; returns slots and values."""
    done: list[tuple[int, dict[str, Any]]] = []
    study.reap()
    while (cell := study.claim()) is not None:
        done.append((cell.index, cell.params))
        study.tell(cell, [cell.params.get("lr", 0.5)])
        study.reap()
    assert study.unfinished() == 0
    return done


@pytest.mark.parametrize("step", ["enqueue", "end"])
def test_a_kill_while_a_slot_is_handed_over_neither_loses_nor_doubles_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    study = opened(tmp_path, grid())
    bury(study, taken(study).number)

    def die(*args: Any, **named: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patch:
        if step == "end":
            patch.setattr(Requeue, "end", die)
        else:
            patch.setattr(optuna.Study, "enqueue_trial", die)
        with pytest.raises(Killed):
            study.reap()
    assert rest(opened(tmp_path, grid())) == list(enumerate(grid().cells()))


def test_two_workers_that_see_the_same_dead_one_hand_its_slot_over_once(tmp_path: Path) -> None:
    study = opened(tmp_path, grid())
    dead = taken(study)
    bury(study, dead.number)
    for _ in range(2):  # both saw it before either had ended it
        study._study.enqueue_trial(dead.params, user_attrs={SLOT: dead.index, AFTER: dead.number})
    assert rest(study) == list(enumerate(grid().cells()))


def test_a_slot_that_an_earlier_version_dropped_is_laid_out_again(tmp_path: Path) -> None:
    study = opened(tmp_path, grid())
    cell = taken(study)
    cell.trial.set_user_attr(ENDED, "lost")
    study._study.tell(cell.trial, state=optuna.trial.TrialState.FAIL)
    assert rest(opened(tmp_path, grid())) == list(enumerate(grid().cells()))


def test_a_cell_of_a_grid_whose_worker_died_at_once_keeps_its_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = opened(tmp_path, grid())

    def die(*args: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("src.sweeper.study.suggest", die)
        with pytest.raises(Killed):
            study.claim()
    bury(study, 0)
    assert rest(opened(tmp_path, grid())) == list(enumerate(grid().cells()))


@pytest.mark.parametrize("drawn", [0, 1, 2])
def test_values_do_not_depend_on_where_drawing_them_was_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn: int
) -> None:
    module: Any = importlib.import_module("src.sweeper.study")
    whole = rest(opened(tmp_path / "a", pair(5), 5))
    study, suggest, count = opened(tmp_path / "b", pair(5), 5), module.suggest, 0
    study.tell(taken(study), [whole[0][1]["lr"]])

    def die(*args: Any) -> Any:
        nonlocal count
        count += 1
        if count > drawn:
            raise Killed
        return suggest(*args)

    with monkeypatch.context() as patch:
        patch.setattr(module, "suggest", die)
        with contextlib.suppress(Killed):
            study.claim()  # with both values drawn it gets through, and dies at work
    bury(study, 1)
    assert [whole[0], *rest(opened(tmp_path / "b", pair(5), 5))] == whole


def test_a_proposal_that_was_only_a_repeat_is_not_run_because_its_worker_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = parse_space({}, ["imgsz=32,64,96,128"], n_trials=4)
    monkeypatch.setattr(Study, "_instead_of", lambda *_: (_ for _ in ()).throw(Killed()))
    study = opened(tmp_path, space, 4)
    done: list[int] = []

    def until_it_repeats_itself() -> None:
        while (cell := study.claim()) is not None:
            done.append(cell.params["imgsz"])
            study.tell(cell, [0.5])

    with pytest.raises(Killed):
        until_it_repeats_itself()
    monkeypatch.undo()
    bury(study, max(t.number for t in study._trials.in_state(optuna.trial.TrialState.RUNNING)))
    done += [params["imgsz"] for _, params in rest(opened(tmp_path, space, 4))]
    assert sorted(done) == [32, 64, 96, 128]


def test_a_slot_that_gets_on_in_a_later_replicate_is_not_given_up(tmp_path: Path) -> None:
    study = opened(tmp_path, grid())
    for death in range(MOST_DEATHS + 2):
        cell = taken(study)
        cell.progress(100_000 + death)
        bury(study, cell.number)
        assert study.reap() == []


def test_a_slot_that_always_dies_at_the_same_epoch_is_given_up(tmp_path: Path) -> None:
    study = opened(tmp_path, grid())
    lost: list[int] = []
    for _ in range(MOST_DEATHS + 1):
        cell = taken(study)
        cell.trial.report(0.1, 1)  # the epoch that was kept is told again at every start
        bury(study, cell.number)
        lost += study.reap()
    assert lost == [0]


def test_a_slot_that_was_given_up_is_told_of_again_at_the_next_start(tmp_path: Path) -> None:
    study = opened(tmp_path, grid())
    for _ in range(MOST_DEATHS):
        bury(study, taken(study).number)
        study.reap()  # what it returns is lost with the process
    told: list[int] = []
    work(opened(tmp_path, grid()), lambda cell: Outcome([0.5]), on_lost=told.append)
    assert told == [0]


def test_slots_that_two_machines_laid_out_at_once_are_run_once(tmp_path: Path) -> None:
    """They share a database and no lock."""
    space = grid()
    study = opened(tmp_path, space)
    twin = Study(open_storage(None, tmp_path / "s.log"), space, TPE, None)
    for slot, params in enumerate(space.cells()):
        twin._study.enqueue_trial(params, user_attrs={SLOT: slot})
    ran: list[int] = []

    def run(cell: Cell) -> Outcome:
        ran.append(cell.index)
        return Outcome([0.5])

    work(study, run, idle=lambda _: None)
    assert work(twin, run, idle=lambda _: None) == 0
    assert ran == list(range(30))
    assert study.complete() == list(range(30))
    assert study.unfinished() == 0
