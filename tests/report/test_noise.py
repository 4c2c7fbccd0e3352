"""What is known of a latency, and what is not: said where the figure stands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from src.decide.choice import Decision
from src.records.schema import FinalistRecord
from src.report import load_decision, write_report
from src.report.noise import noise_of, noisy
from tests.report.factory import ONNX, PYTORCH, Sweep, finalist, trial


def report(made: FinalistRecord, tmp_path: Path, **decision: Any) -> tuple[Decision, str]:
    settings = {"name": "default", "max_export_loss": 0.02, "margin": 0.03, **decision}
    trials = [trial(i, seed=i + 1, score=0.4 + 0.001 * i) for i in range(3)]
    folder = Sweep(trials, [made], settings).write(tmp_path)
    return load_decision(folder), write_report(folder, tmp_path / "reports").read_text()


def test_a_latency_of_one_round_is_not_a_quiet_one(tmp_path: Path) -> None:
    made = finalist(trial(1, seed=2, score=0.401), (PYTORCH, ONNX))
    once = [
        replace(m, latency=replace(m.latency, intervals={}), rounds={"p90": [m.latency.p90 or 0]})
        for m in made.measurements
    ]
    decision, text = report(replace(made, measurements=once), tmp_path)
    assert decision.recommended is not None
    assert noise_of(decision.recommended, decision.statistic).wide
    assert len(noisy(decision)) == 2
    assert "p90 latency is 6.48 ms, without an established interval" in text
    assert "15.12 [not established] | not shown | no interval" in text
    assert "Noisy benchmark: for 2 of 2 candidates" in text


def test_a_statistic_that_was_asked_for_and_is_not_there_is_a_condition(tmp_path: Path) -> None:
    made = finalist(trial(1, seed=2, score=0.401), (replace(PYTORCH, p99=False), replace(ONNX, p99=False)))
    decision, text = report(made, tmp_path, latency="p99")
    assert decision.statistic == "p95"
    assert "Verdict: conditional" in text
    assert "Candidates were compared by p95" in text
    assert "Measure until its p99 latency is established" in text


@pytest.mark.parametrize("lacks", ["pytorch", ""])
def test_where_another_lacks_the_statistic_the_choice_says_by_what_it_was_made(lacks: str, tmp_path: Path) -> None:
    made = finalist(trial(1, seed=2, score=0.401), (replace(PYTORCH, p99=not lacks), ONNX))
    _, text = report(made, tmp_path, latency="p99")
    assert ("Candidates were compared by p95" in text) == bool(lacks)
    assert "Verdict: approve" in text  # the recommended one has it


def test_a_limit_that_nobody_measured_is_not_called_broken(tmp_path: Path) -> None:
    made = finalist(trial(1, seed=2, score=0.401), (PYTORCH, ONNX))
    checks = [v for v in made.verifications if v.format == "pytorch"]
    _, text = report(replace(made, verifications=checks), tmp_path)
    assert "Cheapest refused for max_export_loss (not established)" in text
