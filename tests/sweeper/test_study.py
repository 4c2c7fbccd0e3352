"""Studies: the budget is kept exactly, what was done is not done again, and values reach the sampler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest

from src.config.schema import Pruner, StudyConfig
from src.sweeper.lease import Lease
from src.sweeper.loop import Outcome, work
from src.sweeper.pruner import make_pruner
from src.sweeper.requeue import LEASE, MOST_DEATHS
from src.sweeper.space import Space, parse_space
from src.sweeper.storage import STUDY, mend, open_storage
from src.sweeper.study import Cell, Study

TPE = {"_target_": "optuna.samplers.TPESampler", "seed": 3, "n_startup_trials": 3}


def opened(folder: Path, space: Space, budget: int | None = None, sampler: dict[str, Any] | None = None) -> Study:
    study = Study(open_storage(None, folder / "s.log"), space, sampler or TPE, budget)
    study.lay_out()
    return study


def stored(folder: Path) -> optuna.Study:
    return optuna.load_study(study_name=STUDY, storage=open_storage(None, folder / "s.log"))


def run(study: Study, value: float = 0.5, stop_after: int = 1000) -> list[tuple[int, dict[str, Any]]]:
    done: list[tuple[int, dict[str, Any]]] = []
    while len(done) < stop_after and (cell := study.claim()) is not None:
        done.append((cell.index, cell.params))
        study.tell(cell, [value])
    return done


def grid(*words: str) -> Space:
    return parse_space({}, list(words), n_trials=None)


def endless(budget: int) -> Space:
    return parse_space({}, ["lr=tag(log, interval(0.001, 0.1))"], n_trials=budget)


def test_a_grid_hands_out_each_cell_once_in_order(tmp_path: Path) -> None:
    space = grid("model=v8n,v11n", "imgsz=320,416")
    assert run(opened(tmp_path, space)) == list(enumerate(space.cells()))
    assert run(opened(tmp_path, space)) == [], "a finished study hands out nothing"


def test_an_interrupted_grid_goes_on_with_the_same_numbers(tmp_path: Path) -> None:
    space = grid("imgsz=range(32,352,32)")
    first = run(opened(tmp_path, space), stop_after=4)
    assert first + run(opened(tmp_path, space)) == list(enumerate(space.cells()))


def test_a_study_keeps_its_budget_without_repeats(tmp_path: Path) -> None:
    space = parse_space({}, ["imgsz=32,64,96", "lr=0.1,0.2"], n_trials=5)
    done = run(opened(tmp_path, space, 5))
    assert [index for index, _ in done] != []
    assert sorted(index for index, _ in done) == [0, 1, 2, 3, 4]
    assert len({str(params) for _, params in done}) == 5


def test_a_budget_larger_than_a_finite_space_ends_with_the_space(tmp_path: Path) -> None:
    space = parse_space({}, ["imgsz=32,64"], n_trials=10)
    assert sorted(params["imgsz"] for _, params in run(opened(tmp_path, space, 10))) == [32, 64]


def test_what_is_tried_does_not_depend_on_where_it_was_interrupted(tmp_path: Path) -> None:
    whole = run(opened(tmp_path / "a", endless(6), 6))
    parts = run(opened(tmp_path / "b", endless(6), 6), stop_after=1)
    parts += run(opened(tmp_path / "b", endless(6), 6), stop_after=3)
    parts += run(opened(tmp_path / "b", endless(6), 6))
    assert parts == whole
    assert len({str(params) for _, params in whole}) == 6
    assert all(0.001 <= params["lr"] <= 0.1 for _, params in whole)


def test_a_cell_without_a_value_has_failed_unless_it_was_pruned(tmp_path: Path) -> None:
    study = opened(tmp_path, grid("imgsz=32,64,96", "seed=1,2"))
    worth: list[tuple[list[float], bool]] = [([0.4], False), ([], False), ([], True)]
    for values, pruned in worth:
        cell = study.claim()
        assert cell is not None
        study.tell(cell, values, pruned=pruned)
    trials = stored(tmp_path).trials
    assert [t.state.name for t in trials] == ["COMPLETE", "FAIL", "PRUNED"]
    assert trials[0].value == 0.4


def test_several_objectives_keep_their_directions_and_values(tmp_path: Path) -> None:
    study = Study(open_storage(None, tmp_path / "s.log"), grid("imgsz=32,64"), {}, None, maximize=[True, False])
    study.lay_out()
    for values in ((0.4, 9.0), (0.3, 3.0)):
        cell = study.claim()
        assert cell is not None
        study.tell(cell, values)
        study.tell(cell, values)
    kept = stored(tmp_path)
    assert [d.name for d in kept.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert [t.values for t in kept.best_trials] == [[0.4, 9.0], [0.3, 3.0]]


def test_the_sampler_keeps_away_from_what_broke_a_constraint(tmp_path: Path) -> None:
    space = parse_space({}, ["lr=interval(0.0,1.0)"], n_trials=40)
    study = opened(tmp_path, space, 40, {**TPE, "n_startup_trials": 8})
    asked = []
    while (cell := study.claim()) is not None:
        lr = float(cell.params["lr"])
        asked.append(lr)
        excess = {"recall >= 0.6": lr - 0.4}
        if lr > 0.7:
            study.tell(cell, [], pruned=True, constraints=excess)  # refused before training
        else:
            study.tell(cell, [lr], constraints=excess)  # the higher the better, but for the constraint
    assert sum(asked[20:]) / 20 < 0.5, "without the constraint it goes for the upper end"
    assert stored(tmp_path).best_trial.params["lr"] <= 0.4


def test_the_sampler_learns_from_what_it_is_told(tmp_path: Path) -> None:
    space = parse_space({}, ["lr=interval(0.0,1.0)"], n_trials=25)
    study = opened(tmp_path, space, 25, {**TPE, "n_startup_trials": 5})
    asked = []
    while (cell := study.claim()) is not None:
        asked.append(float(cell.params["lr"]))
        study.tell(cell, [-((asked[-1] - 0.8) ** 2)])
    assert sum(abs(x - 0.8) for x in asked[-10:]) < sum(abs(x - 0.8) for x in asked[:10])


def test_only_samplers_may_be_instantiated(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    with pytest.raises(Exception, match=r"(?i)whitelist|not allowed|denied"):
        opened(tmp_path, endless(2), 2, {"_target_": "os.mkdir", "path": str(marker)})
    assert not marker.exists()


def taken(study: Study) -> Cell:
    cell = study.claim()
    assert cell is not None
    return cell


def bury(study: Study, cell: Cell) -> None:
    """Make a cell look as if its worker's process were gone."""
    lease = Lease.own().plain()
    study._storage.set_trial_user_attr(cell.trial._trial_id, LEASE, {**lease, "started": lease["started"] - 1})


def test_a_cell_given_back_is_taken_again_with_its_values_and_number(tmp_path: Path) -> None:
    study = opened(tmp_path, endless(3), 3)
    first = taken(study)
    study.release(first)
    again = taken(study)
    assert (again.index, again.params) == (first.index, first.params)
    study.tell(again, [0.5])
    assert len(run(study)) == 2


def test_a_dead_worker_is_noticed_and_a_living_one_left_alone(tmp_path: Path) -> None:
    study = opened(tmp_path, grid("imgsz=32,64,96"))
    dead, alive = taken(study), taken(study)
    bury(study, dead)
    assert study.reap() == []
    assert study.unfinished() == 3
    again = taken(study)
    assert (again.index, again.params) == (dead.index, dead.params)
    assert alive.index not in [index for index, _ in run(study)]


def test_a_slot_that_kills_its_workers_fails_for_good_but_not_while_it_makes_progress(tmp_path: Path) -> None:
    study = opened(tmp_path, grid("imgsz=32,64"))
    for epoch in range(1, MOST_DEATHS + 3):
        cell = taken(study)
        cell.trial.report(0.1, epoch)
        bury(study, cell)
        assert study.reap() == []
    lost: list[int] = []
    for _ in range(MOST_DEATHS):
        bury(study, taken(study))
        lost += study.reap()
        if lost:
            break
    assert lost == [0]
    assert [index for index, _ in run(study)] == [1]


def test_the_loop_runs_every_cell_and_gives_back_the_one_that_was_interrupted(tmp_path: Path) -> None:
    space = grid("imgsz=32,64,96")
    seen: list[int] = []

    def interrupted(cell: Cell) -> Outcome:
        if len(seen) == 1:
            raise KeyboardInterrupt
        seen.append(cell.index)
        return Outcome([0.5])

    with pytest.raises(KeyboardInterrupt):
        work(opened(tmp_path, space), interrupted)

    def retried(cell: Cell) -> Outcome:
        seen.append(cell.index)
        return Outcome([0.5])

    assert work(opened(tmp_path, space), retried) == 2
    assert seen == [0, 1, 2]


def test_a_torn_last_line_is_cut_off_and_the_rest_kept(tmp_path: Path) -> None:
    space = grid("imgsz=32,64,96")
    run(opened(tmp_path, space), stop_after=2)
    journal = tmp_path / "s.log"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code":6,"trial')
    assert [index for index, _ in run(opened(tmp_path, space))] == [2]
    assert all(line.endswith(b"}") for line in journal.read_bytes().splitlines())
    journal.write_bytes(b"no newline at all")
    assert mend(journal) == 17
    assert journal.read_bytes() == b""


PRUNERS: dict[Pruner, tuple[type[optuna.pruners.BasePruner], dict[str, float]]] = {
    Pruner.none: (optuna.pruners.NopPruner, {}),
    Pruner.median: (optuna.pruners.MedianPruner, {"_n_startup_trials": 3, "_n_warmup_steps": 2}),
    Pruner.asha: (optuna.pruners.SuccessiveHalvingPruner, {"_min_resource": 2, "_reduction_factor": 2}),
    Pruner.hyperband: (
        optuna.pruners.HyperbandPruner,
        {"_min_resource": 2, "_max_resource": 10, "_reduction_factor": 3},
    ),
    Pruner.threshold: (optuna.pruners.ThresholdPruner, {"_lower": 0.2, "_n_warmup_steps": 2}),
    Pruner.wilcoxon: (optuna.pruners.WilcoxonPruner, {"_p_threshold": 0.3, "_n_startup_steps": 2}),
}


@pytest.mark.parametrize("kind", Pruner)
def test_every_pruner_is_of_its_kind_and_has_its_settings(kind: Pruner) -> None:
    cfg = StudyConfig(pruner=kind, pruner_threshold=0.2, pruner_warmup=2, pruner_p=0.3)
    made = make_pruner(cfg, epochs=10)
    expected, settings = PRUNERS[kind]
    assert type(made) is expected
    assert {name: vars(made)[name] for name in settings} == settings


def test_a_hopeless_trial_is_pruned_and_a_good_one_is_not(tmp_path: Path) -> None:
    space = grid("imgsz=range(32,352,32)")
    storage = open_storage(None, tmp_path / "s.log")
    pruner = make_pruner(StudyConfig(pruner=Pruner.median, pruner_warmup=2), epochs=5)
    study = Study(storage, space, TPE, None, pruner=pruner)
    study.lay_out()
    stopped = {}
    while (cell := study.claim()) is not None:
        slope = 0.01 if cell.index == 7 else 0.1
        for epoch in range(1, 6):
            cell.trial.report(slope * epoch, epoch)
            if cell.trial.should_prune():
                stopped[cell.index] = epoch
                break
        study.tell(cell, [] if cell.index in stopped else [slope], pruned=cell.index in stopped)
    assert stopped == {7: 2} or stopped == {7: 3}
