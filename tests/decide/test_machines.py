"""Whose measurements decide: those of the machine that was named, and never another's in their place."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from src.common.errors import UserError
from src.config.schema import DecisionConfig
from src.decide.choice import Decision, decide
from src.decide.limits import limits_of, refusals
from src.decide.load import load_sweep
from src.decide.settings import decision_of, load_decision
from src.decide.verdict import verdict
from tests.report.factory import Sweep, There, deep_study, device, study

# On this device INT8 is emulated, and the checkpoint does not run.
PI5 = {"onnx/fp32": There(10.0), "onnx/int8": There(40.0)}


def on_pi5(how: dict[str, There] | None = None, **changes: Any) -> Sweep:
    sweep = deep_study(**changes)
    sweep.devices = [device("pi5", sweep.finalists, PI5 if how is None else how)]
    return sweep


def decided(sweep: Sweep, tmp_path: Path, **given: Any) -> Decision:
    return load_decision(sweep.write(tmp_path), given)


def settings_of(decision: Decision, **limits: Any) -> DecisionConfig:
    return replace(decision.settings, **limits)


def test_costs_are_those_of_the_device(tmp_path: Path) -> None:
    here, there = decided(on_pi5(), tmp_path), decided(on_pi5(), tmp_path, device="pi5")
    own = {c.key: c for c in here.candidates}
    for c in there.candidates:
        factor = {"onnx/fp32": 10.0, "onnx/int8": 40.0}.get(f"{c.format}/{c.precision}")
        if factor is None:
            assert not c.measured
            assert (math.isnan(c.throughput_ips), math.isnan(c.memory_mb)) == (True, True)
            continue
        assert c.latency["p90"] == pytest.approx(factor * own[c.key].latency["p90"])
        assert c.throughput_ips == pytest.approx(own[c.key].throughput_ips / factor)
        assert c.memory_mb == pytest.approx(0.8 * own[c.key].memory_mb)
        assert (c.val_map, c.score, c.gate) == (own[c.key].val_map, own[c.key].score, own[c.key].gate)


def test_the_device_changes_the_choice(tmp_path: Path) -> None:
    here, there = decided(on_pi5(), tmp_path), decided(on_pi5(), tmp_path, device="pi5")
    assert here.recommended is not None
    assert there.recommended is not None
    assert (here.recommended.precision, there.recommended.precision) == ("int8", "fp32")
    assert there.recommended.format == "onnx"


def test_what_was_not_measured_there_never_ships_and_says_so(tmp_path: Path) -> None:
    decision = decided(on_pi5(), tmp_path, device="pi5", max_latency_ms=1e6)
    unmeasured = [c for c in decision.candidates if c.format == "pytorch"]
    assert unmeasured
    for c in unmeasured:
        assert c.key not in decision.feasible
        assert [x.holds for x in limits_of(c, decision.settings) if x.key == "max_latency_ms"] == [None]
        assert refusals(c, decision.candidates, decision.settings) == ["max_latency_ms", "unmeasured"]


def test_a_file_that_finds_too_little_there_is_disqualified_there_alone(tmp_path: Path) -> None:
    sweep = on_pi5({"onnx/fp32": There(lacks=0.2, gate="fail"), "onnx/int8": There(40.0)})
    there, here = decided(sweep, tmp_path, device="pi5"), decided(sweep, tmp_path)
    assert there.recommended is not None
    assert there.recommended.precision == "int8"
    failed = [c for c in there.candidates if (c.format, c.precision) == ("onnx", "fp32")]
    assert failed
    assert all("device_gate" in refusals(c, there.candidates, there.settings) for c in failed)
    assert all(c.loss_there == pytest.approx(0.2) for c in failed)
    assert all(c.device_gate is None for c in here.candidates)
    assert {c.key for c in failed} <= here.feasible


@pytest.mark.parametrize(
    ("how", "key"),
    [(There(lacks=0.03, gate="warn"), "cond_device_gate"), (There(gate=None), "cond_device_unchecked")],
)
def test_accuracy_there_that_is_doubtful_or_unknown_is_a_condition(how: There, key: str, tmp_path: Path) -> None:
    decision = decided(on_pi5({"onnx/fp32": how}), tmp_path, device="pi5")
    assert key in [n.key for n in verdict(decision).conditions]
    own = decided(on_pi5({"onnx/fp32": how}), tmp_path)
    assert key not in [n.key for n in verdict(own).conditions]


def test_a_device_that_is_yet_to_be_measured_is_an_open_condition(tmp_path: Path) -> None:
    """A sweep may name it before it has a record: nothing can be measured before something is trained."""
    for limits in ({}, {"max_latency_ms": 80.0}):
        sweep = study(decision={"name": "default", "max_export_loss": 0.02, "device": "pi5", **limits})
        saved = load_sweep(sweep.write(tmp_path))
        judged = verdict(decide(saved, decision_of(saved)))
        assert judged.word == "conditional"
        assert "cond_device_unmeasured" in [n.key for n in judged.conditions]


@pytest.mark.parametrize("name", [None, "sweep", "cpu"])
def test_the_machine_of_the_sweep_is_the_default(name: str | None, tmp_path: Path) -> None:
    plain, named = decided(on_pi5(), tmp_path), decided(on_pi5(), tmp_path, device=name)
    assert [(c.key, c.latency) for c in named.candidates] == [(c.key, c.latency) for c in plain.candidates]
    assert plain.recommended is not None
    assert named.recommended is not None
    assert named.recommended.key == plain.recommended.key


def test_a_processor_that_measured_nothing_still_means_the_machine_of_the_sweep(tmp_path: Path) -> None:
    decision = decided(on_pi5(), tmp_path, device="cuda:0")
    assert not any(c.measured for c in decision.candidates)
    assert "cond_no_latency" in [n.key for n in verdict(decision).conditions]


def test_an_unknown_device_is_told_with_those_there_are(tmp_path: Path) -> None:
    folder = on_pi5().write(tmp_path)
    with pytest.raises(UserError, match=r"decision\.device:") as told:
        load_decision(folder, {"device": "pi4"})
    assert told.value.value == "pi4"
    assert "pi5" in told.value.remedy
    with pytest.raises(UserError, match=r"decision\.devices\.pi4"):
        load_decision(folder, {"devices": {"pi5": {}, "pi4": {"max_latency_ms": 3.0}}})


def test_other_batches_were_not_measured(tmp_path: Path) -> None:
    decision = decided(on_pi5(), tmp_path, device="pi5", batch=4)
    assert not any(c.measured for c in decision.candidates)
