"""Who goes on from a rung, who is given up, and that no kill and no number of workers changes it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import optuna
import pytest

from src.config.schema import Pruner, StudyConfig
from src.sweeper.halving import Halving, Standing, halving_of, label
from src.sweeper.loop import Outcome, work
from src.sweeper.space import parse_space
from src.sweeper.storage import open_storage
from src.sweeper.study import Cell, Study
from tests.sweeper.test_requeue import Killed, bury

ASHA = Halving(first=2, epochs=16, eta=2)
HYPERBAND = Halving(first=1, epochs=27, eta=3, brackets=3)


def test_rungs_grow_by_the_factor_and_the_end_is_none() -> None:
    assert ASHA.rungs() == [2, 4, 8]
    assert [ASHA.until(0, n) for n in range(4)] == [2, 4, 8, None]
    assert [HYPERBAND.rungs(b) for b in range(3)] == [[1, 3, 9], [3, 9], [9]]


def test_brackets_get_their_shares_of_any_run_of_slots() -> None:
    given = [HYPERBAND.bracket(slot) for slot in range(3000)]
    assert [round(given.count(b) / 3000, 2) for b in range(3)] == [0.53, 0.29, 0.18]  # 9, 5 and 3 of 17
    assert {*given[:9]} == {0, 1, 2}
    assert [HYPERBAND.bracket(slot) for slot in range(40)] == given[:40]


@pytest.mark.parametrize(
    ("standings", "at_rest", "wanted"),
    [
        ([Standing(0, [0.5], True)], False, []),
        ([Standing(0, [0.5], True), Standing(1, [0.4], True)], False, [0]),
        ([Standing(0, [0.5, 0.7], True), Standing(1, [0.4], True)], False, []),
        ([Standing(0, [0.5, 0.7], True), Standing(1, [0.4], True)], True, [0]),
        ([Standing(0, [0.5], False), Standing(1, [0.4], True)], False, []),
        ([Standing(i, [i / 10], True) for i in range(5)], False, [4, 3]),
        ([Standing(0, [0.2, 0.9], True), Standing(1, [0.3, 0.8], True), Standing(2, [0.4], True)], False, [2, 0]),
        ([Standing(0, [0.5], True), Standing(1, [0.5], True)], False, [0]),
        ([Standing(0, [0.9, 0.9, 0.9], False)], True, []),
    ],
    ids=["one", "two", "gone on", "at rest", "trains", "half", "lowest rung first", "tie", "trained to the end"],
)
def test_the_best_of_a_rung_go_on(standings: list[Standing], at_rest: bool, wanted: list[int]) -> None:
    assert ASHA.promoted(standings, at_rest) == wanted


def test_which_pruners_pause() -> None:
    assert halving_of(StudyConfig(pruner=Pruner.asha), 16) == ASHA
    assert halving_of(StudyConfig(pruner=Pruner.hyperband, pruner_warmup=1), 27) == HYPERBAND
    assert halving_of(StudyConfig(pruner=Pruner.median), 16) is None
    assert halving_of(StudyConfig(pruner=Pruner.asha), 2) is None


def test_a_line_names_the_rung_and_the_bracket() -> None:
    assert label(ASHA, 0, 0) == "rung 1/4"
    assert label(HYPERBAND, 0, 1) == "rung 2/4, bracket 1/3"


def test_the_record_says_rungs_and_brackets() -> None:
    assert ASHA.plain(3) == {"epochs": 16, "rungs": [[2, 4, 8]], "brackets": [0, 0, 0]}
    assert HYPERBAND.plain(40)["brackets"] == [HYPERBAND.bracket(slot) for slot in range(40)]


SLOTS = 16


class Trainings:
    """What was trained: epochs by slot, in memory as on a disk."""

    def __init__(self) -> None:
        self.epochs: dict[int, list[int]] = {}
        self.given_up: list[int] = []

    def run(self, cell: Cell) -> Outcome:
        done = self.epochs.setdefault(cell.index, [])
        until = cell.until or ASHA.epochs
        done += range(len(done) + 1, until + 1)
        value = cell.params["imgsz"] / 100
        return Outcome([value]) if cell.until is None else Outcome(paused=value * until / ASHA.epochs)


def opened(folder: Path, halving: Halving = ASHA) -> Study:
    space = parse_space({}, [f"imgsz=range(1,{SLOTS + 1})"], n_trials=None)
    study = Study(open_storage(None, folder / "s.log"), space, {}, None, halving=halving)
    study.lay_out()
    return study


def check_whole(trainings: Trainings, study: Study) -> None:
    """The best was trained to the end, no epoch twice, nothing is left open."""
    assert study.unfinished() == 0
    assert all(e == list(range(1, len(e) + 1)) for e in trainings.epochs.values())
    assert sorted(trainings.epochs) == list(range(SLOTS))
    lengths = {slot: len(e) for slot, e in trainings.epochs.items()}
    assert lengths[SLOTS - 1] == ASHA.epochs
    whole = {slot for slot, n in lengths.items() if n == ASHA.epochs}
    assert set(trainings.given_up) == set(range(SLOTS)) - whole
    ended = [t for t in study._trials.all() if t.state is optuna.trial.TrialState.COMPLETE]
    assert {t.user_attrs["slot"] for t in ended} == whole


def test_one_worker_trains_the_best_to_the_end_and_spends_a_fraction(tmp_path: Path) -> None:
    study, trainings = opened(tmp_path), Trainings()
    work(study, trainings.run, on_given_up=trainings.given_up.append, idle=lambda s: None)
    check_whole(trainings, study)
    spent = sum(map(len, trainings.epochs.values()))
    assert spent == 16 * 2 + 8 * 2 + 4 * 4 + 2 * 8, "in the worst order, each better than all before"


def test_the_last_of_a_rung_is_not_left_without_anybody_at_the_end(tmp_path: Path) -> None:
    space = parse_space({}, ["imgsz=1,2,3"], n_trials=None)
    study, trainings = Study(open_storage(None, tmp_path / "s.log"), space, {}, None, halving=ASHA), Trainings()
    study.lay_out()
    work(study, trainings.run, on_given_up=trainings.given_up.append, idle=lambda s: None)
    assert len(trainings.epochs[2]) == ASHA.epochs
    assert sorted(trainings.given_up) == [0, 1]


def test_a_promoted_one_that_fails_leaves_its_place_to_the_next(tmp_path: Path) -> None:
    study, trainings = opened(tmp_path), Trainings()

    def run(cell: Cell) -> Outcome:
        return Outcome() if cell.index == SLOTS - 1 and cell.reached else trainings.run(cell)

    work(study, run, on_given_up=trainings.given_up.append, idle=lambda s: None)
    assert study.unfinished() == 0
    assert len(trainings.epochs[SLOTS - 2]) == ASHA.epochs


def test_several_workers_train_every_epoch_once(tmp_path: Path) -> None:
    trainings = Trainings()
    opened(tmp_path)
    threads = [
        threading.Thread(
            target=lambda: work(
                opened(tmp_path), trainings.run, on_given_up=trainings.given_up.append, idle=lambda s: None
            )
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check_whole(trainings, opened(tmp_path))


@pytest.mark.parametrize("step", range(1, 40, 3))
@pytest.mark.parametrize("where", ["before", "after"])
def test_a_worker_killed_at_any_write_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, where: str
) -> None:
    study, trainings = opened(tmp_path), Trainings()
    left = [step]

    def dies(call: Any) -> Any:
        def wrapped(*args: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] == 0 and where == "before":
                raise Killed
            found = call(*args, **named)
            if left[0] == 0:
                raise Killed
            return found

        return wrapped

    for name in ("set_trial_state_values", "set_trial_user_attr", "create_new_trial"):
        monkeypatch.setattr(study._storage, name, dies(getattr(study._storage, name)))
    monkeypatch.setattr(Study, "release", lambda self, cell: None)  # nothing is cleaned up
    with pytest.raises(Killed):
        work(study, trainings.run, on_given_up=trainings.given_up.append, idle=lambda s: None)
    again = opened(tmp_path)
    for trial in again._trials.in_state(optuna.trial.TrialState.RUNNING):
        bury(again, trial.number)
    work(again, trainings.run, on_given_up=trainings.given_up.append, idle=lambda s: None)
    check_whole(trainings, again)
