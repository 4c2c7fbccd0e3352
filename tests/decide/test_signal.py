"""What can't be told from a model that detects nothing is rejected, and the next steps say what to do about it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from src.decide.signal import signal_of
from src.promote.gates import own_gates
from src.report import load_decision, write_report
from tests.report.factory import Sweep, evaluation, finalist, trial


def sweep_of(score: float, noise: float | None, start: str = "scratch", **decision: Any) -> Sweep:
    """Three seeds of one configuration; `noise` is the standard error over images, None without evaluations."""
    trials = [trial(i, seed=i + 1, score=score) for i in range(3)]
    trials = [replace(t, checkpoint=replace(t.checkpoint, start=start, epochs=3)) for t in trials if t.checkpoint]
    made = finalist(trials[0], test=0.0)
    sweep = Sweep(trials, [made], {"name": "default", "max_export_loss": 0.02, **decision})
    if noise is not None:
        sweep.evaluations = [evaluation(trials[0], v, noise=noise) for v in made.verifications]
    return sweep


def judged(sweep: Sweep, folder: Path) -> dict[str, Any]:
    path = write_report(sweep.write(folder), folder / "reports")
    found: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())
    found["text"] = path.read_text()
    return found


@pytest.mark.parametrize(
    ("score", "noise", "verdict"),
    [
        (0.0, None, "reject"),
        (0.009, None, "reject"),
        (0.011, None, "conditional"),  # a bare figure above the floor: only its conditions remain
        (0.06, 0.03, "reject"),  # from 0.00 to 0.12
        (0.06, 0.02, "conditional"),  # from 0.02 to 0.10
        (0.0, 0.0, "reject"),
    ],
)
def test_nothing_detected_is_rejected(score: float, noise: float | None, verdict: str, tmp_path: Path) -> None:
    assert judged(sweep_of(score, noise), tmp_path)["verdict"] == verdict


def test_the_reason_names_figure_interval_floor_and_key(tmp_path: Path) -> None:
    (reason,) = judged(sweep_of(0.05, 0.03), tmp_path)["reasons"]
    assert "mAP50-95 on test is 0.049" in reason
    assert "interval from 0.000" in reason
    assert "0.010 counts as nothing (decision.nothing_map)" in reason


def test_the_floor_is_a_setting(tmp_path: Path) -> None:
    assert judged(sweep_of(0.2, 0.02, nothing_map=0.17), tmp_path)["verdict"] == "reject"
    assert judged(sweep_of(0.2, 0.02, nothing_map=0.1), tmp_path)["verdict"] == "conditional"


def test_the_next_steps_say_how_to_learn_something(tmp_path: Path) -> None:
    found = judged(sweep_of(0.0, None), tmp_path)
    short = [s["step"] for s in found["next_steps"] if s["horizon"] == "short"]
    assert "epochs=30 or more instead of 3" in short[0]
    assert short[1].startswith("Start from pretrained weights: model.weights=auto")
    assert "now 240" in short[2]
    assert "Register the artifact" not in str(found["next_steps"])
    assert "not recommended: the verdict is reject" in found["text"]


def test_pretrained_weights_are_not_proposed_to_what_had_them(tmp_path: Path) -> None:
    found = judged(sweep_of(0.0, None, start="pretrained:yolov8n.pt"), tmp_path)
    assert "Start from pretrained" not in str(found["next_steps"])


def test_test_is_asked_before_val(tmp_path: Path) -> None:
    """Val is what selection was fitted to: a model that scores on val alone has shown nothing."""
    sweep = sweep_of(0.3, None)
    sweep.finalists = [finalist(sweep.trials[0], test=-0.3)]
    found = signal_of(load_decision(sweep.write(tmp_path)))
    assert found is not None
    assert found.split == "test"
    assert found.value == pytest.approx(0.0)
    assert not found.found


def test_trainings_without_artifacts_are_judged_by_val(tmp_path: Path) -> None:
    found = judged(Sweep([trial(0, score=0.0)]), tmp_path)
    assert found["verdict"] == "reject"
    assert "on val is 0.000" in found["reasons"][0]


def test_the_gate_of_promotion_follows(tmp_path: Path) -> None:
    decision = load_decision(sweep_of(0.05, 0.03).write(tmp_path))
    assert not own_gates(decision, accept="conditional")[0].passed, "what is rejected is no conditional verdict"
    gates = {g.name: g for g in own_gates(decision)}
    assert not gates["verdict"].passed
    assert not gates["learnt"].passed
    assert "0.01 counts as nothing" in gates["learnt"].said
