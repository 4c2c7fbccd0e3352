"""Studies: the budget is kept exactly, what was done is not done again, and values reach the sampler."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from src.sweeper.space import parse_space
from src.sweeper.study import Study

TPE = {"_target_": "optuna.samplers.TPESampler", "seed": 3, "n_startup_trials": 3}


def stored(path: Path) -> optuna.Study:
    return optuna.load_study(study_name="sweep", storage=JournalStorage(JournalFileBackend(str(path))))


def run(study: Study, value: float = 0.5, stop_after: int = 1000) -> list[dict[str, object]]:
    done = []
    for cell in study.cells():
        if len(done) == stop_after:
            break
        done.append(cell.params)
        study.tell(cell, [value, value])
    return done


def test_a_grid_hands_out_each_cell_once_in_order(tmp_path: Path) -> None:
    space = parse_space({}, ["model=v8n,v11n", "imgsz=320,416"], n_trials=None)
    assert run(Study(tmp_path / "s.log", space, TPE, None)) == list(space.cells())


def test_an_interrupted_grid_goes_on_with_the_same_numbers(tmp_path: Path) -> None:
    space = parse_space({}, ["imgsz=range(32,352,32)"], n_trials=None)
    first = run(Study(tmp_path / "s.log", space, TPE, None), stop_after=4)
    second = Study(tmp_path / "s.log", space, TPE, None)
    cells = []
    for cell in second.cells():
        cells.append((cell.index, cell.params))
        second.tell(cell, [0.5])
    assert [c for _, c in cells] == list(space.cells())
    assert [i for i, _ in cells] == list(range(10))
    assert first == list(space.cells())[:4]


def test_a_study_keeps_its_budget_without_repeats(tmp_path: Path) -> None:
    space = parse_space({}, ["imgsz=32,64,96", "lr=0.1,0.2"], n_trials=4)
    done = run(Study(tmp_path / "s.log", space, TPE, 4))
    assert len(done) == 4 == len({str(c) for c in done})


def test_a_budget_larger_than_a_finite_space_ends_with_the_space(tmp_path: Path) -> None:
    space = parse_space({}, ["imgsz=32,64"], n_trials=10)
    assert sorted(c["imgsz"] for c in run(Study(tmp_path / "s.log", space, TPE, 10))) == [32, 64]  # type: ignore[type-var]


def test_an_interval_stays_inside_and_resumes(tmp_path: Path) -> None:
    space = parse_space({}, ["lr=tag(log, interval(0.001, 0.1))"], n_trials=5)
    first = run(Study(tmp_path / "s.log", space, TPE, 5), stop_after=2)
    both = run(Study(tmp_path / "s.log", space, TPE, 5))
    assert len(both) == 5
    assert both[:2] == first
    assert all(0.001 <= float(str(c["lr"])) <= 0.1 for c in both)


def test_a_configuration_is_worth_the_mean_over_its_seeds(tmp_path: Path) -> None:
    space = parse_space({}, ["imgsz=32,64", "seed=1,2"], n_trials=None)
    study = Study(tmp_path / "s.log", space, TPE, None)
    for cell in study.cells():
        study.tell(cell, [0.2, 0.6] if cell.params["imgsz"] == 32 else [])
    trials = stored(tmp_path / "s.log").trials
    assert [t.value for t in trials] == [pytest.approx(0.4), None]
    assert [t.state.name for t in trials] == ["COMPLETE", "FAIL"]


def test_the_sampler_learns_from_what_it_is_told(tmp_path: Path) -> None:
    space = parse_space({}, ["lr=interval(0.0,1.0)"], n_trials=25)
    study = Study(tmp_path / "s.log", space, {**TPE, "n_startup_trials": 5}, 25)
    asked = []
    for cell in study.cells():
        lr = float(cell.params["lr"])
        asked.append(lr)
        study.tell(cell, [-((lr - 0.8) ** 2)])
    assert sum(abs(x - 0.8) for x in asked[-10:]) < sum(abs(x - 0.8) for x in asked[:10])


def test_only_samplers_may_be_instantiated(tmp_path: Path) -> None:
    space = parse_space({}, ["imgsz=32,64"], n_trials=2)
    marker = tmp_path / "marker"
    with pytest.raises(Exception, match=r"(?i)whitelist|not allowed|denied"):
        Study(tmp_path / "s.log", space, {"_target_": "os.mkdir", "path": str(marker)}, 2)
    assert not marker.exists()
