"""What every training had the same of: told where it is no number of epochs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from src.report import load_decision
from src.report.overview import Overview
from src.report.tables import trial_rows
from src.report.text import catalogue
from tests.report.factory import Sweep, study


def test_minutes_are_told_with_what_was_used(tmp_path: Path) -> None:
    whole = study()
    trials = [
        replace(
            t,
            config={**t.config, "study": {"budget": "minutes", "minutes": 3.0}},
            history=[{**row, "used_minutes": 0.3 * row["epoch"]} for row in t.history],
        )
        for t in whole.trials
    ]
    decision = load_decision(Sweep(trials, whole.finalists).write(tmp_path))
    told = Overview(decision, catalogue("en")).facts()
    assert "3 min of processor time" in told
    assert "used: 3.00 to 3.00 min, 10 to 10 epochs" in told
    assert {round(row["used_minutes"], 6) for row in trial_rows(decision.saved) if row["state"] == "complete"} == {3.0}


def test_epochs_are_no_fact_of_their_own(tmp_path: Path) -> None:
    assert "processor time" not in Overview(load_decision(study().write(tmp_path)), catalogue("en")).facts()
