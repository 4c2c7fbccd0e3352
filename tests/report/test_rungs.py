"""The table of rungs counts the configurations that reached each, from the records alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from src.decide.settings import load_decision
from src.records.schema import State
from src.report.rungs import Rungs
from src.report.text import catalogue
from tests.report.factory import Sweep, trial

HALVING = {"epochs": 8, "rungs": [[2, 4]], "brackets": [0, 0, 0, 0]}
LENGTHS: dict[int, tuple[int, State]] = {0: (8, "complete"), 1: (4, "pruned"), 2: (2, "pruned"), 3: (2, "pruned")}


def paused(**changes: object) -> Sweep:
    trials = []
    for i, (epochs, state) in LENGTHS.items():
        for seed in (1, 2):
            made = trial(2 * i + seed - 1, lr=0.001 * (i + 1), seed=seed, score=0.5 - i / 20)
            trials.append(replace(made, history=made.history[:epochs], state=state))
    return Sweep(trials, changes={"halving": HALVING, **changes})


def test_each_rung_has_its_row(tmp_path: Path) -> None:
    found = str(Rungs(load_decision(paused().write(tmp_path)), catalogue("en")).table())
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in found.splitlines()[2:]]
    assert [row[:3] for row in rows] == [["1", "2", "4"], ["1", "4", "2"], ["1", "8", "1"]]
    assert all(0 < float(row[3]) <= 0.5 for row in rows)


def test_brackets_are_told_apart(tmp_path: Path) -> None:
    sweep = paused(halving={"epochs": 8, "rungs": [[2, 4], [4]], "brackets": [0, 1, 0, 0]})
    found = str(Rungs(load_decision(sweep.write(tmp_path)), catalogue("en")).table())
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in found.splitlines()[2:]]
    assert [row[:3] for row in rows] == [
        ["1", "2", "3"],
        ["1", "4", "1"],
        ["1", "8", "1"],
        ["2", "4", "1"],
        ["2", "8", "0"],
    ]
    assert rows[-1][3] == "—"


def test_a_sweep_that_paused_nothing_has_no_table(tmp_path: Path) -> None:
    assert not Rungs(load_decision(paused(halving={}).write(tmp_path)), catalogue("en")).table()
