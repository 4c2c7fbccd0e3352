"""What the search cost, as the records establish it: hours, trials, energy."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from src.records.schema import TrialRecord
from src.report import Options, load_sweep, write_report
from src.report.resource_use import search_cost
from tests.report.factory import Sweep, finalist, trial


def trials(*joules: float | None, side_by_side: bool = False) -> list[TrialRecord]:
    """Trials of 105 s each, one after the other unless told otherwise; None = no counter."""
    return [
        replace(
            trial(i, seed=i + 1),
            energy_j={} if j is None else {"package-0": j},
            started_at=f"2026-11-21T08:{0 if side_by_side else 2 * i:02d}:00+00:00",
            finished_at=f"2026-11-21T08:{2 if side_by_side else 2 * i + 2:02d}:00+00:00",
        )
        for i, j in enumerate(joules)
    ]


def written(found: list[TrialRecord], folder: Path, **changes: Any) -> tuple[str, dict[str, Any]]:
    sweep = Sweep(found, [finalist(found[0])], changes=changes)
    path = write_report(sweep.write(folder), folder / "reports", Options())
    cost: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())["cost"]
    return next(
        line for line in path.with_name("appendix.md").read_text().splitlines() if "Energy of the search" in line
    ), cost


def test_hours_and_energy_are_added_up(tmp_path: Path) -> None:
    changes = {"timings_s": {"finalists": 1800.0}, "energy_j": {"package-0": 1800.0}}
    line, cost = written(trials(3600.0, 1800.0), tmp_path, **changes)
    assert "2.0 Wh (package-0; the whole package" in line
    assert cost == {
        "trials": 2, "trial_hours": pytest.approx(210 / 3600), "finalist_hours": 0.5, "wall_hours": 1.5,
        "energy_wh": 2.0, "energy_counters": ["package-0"], "energy_trials": 2,
    }  # fmt: skip


def test_without_counters_nothing_is_claimed(tmp_path: Path) -> None:
    line, cost = written(trials(None, None), tmp_path)
    assert "not established (no readable counter" in line
    assert cost["energy_wh"] is None
    assert cost["finalist_hours"] is None


def test_a_part_is_called_a_part(tmp_path: Path) -> None:
    line, _ = written(trials(3600.0, None), tmp_path)
    assert "not established in full: 1 of 2 trials counted it, with 1.0 Wh" in line


def test_trials_side_by_side_give_an_upper_bound(tmp_path: Path) -> None:
    found = trials(3600.0, 3600.0, side_by_side=True)
    assert "at most 2.0 Wh" in written(found, tmp_path)[0]
    assert search_cost(load_sweep(Sweep(found).write(tmp_path / "again"))).shared


def test_a_clock_that_was_put_back_makes_no_negative_hours(tmp_path: Path) -> None:
    changes = {"timings_s": {"finalists": 1800.0}, "finished_at": "2026-11-20T08:00:00+00:00"}
    _, cost = written(trials(None), tmp_path, **changes)
    assert cost["wall_hours"] is None
    assert cost["finalist_hours"] == 0.5
    assert "nan" not in next(tmp_path.rglob("decision.md")).read_text()
