"""Several devices: each by its own limits and measurements, one model for all, and what that costs."""

from __future__ import annotations

import json
import math
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from src.common.errors import UserError
from src.common.speed import compare_rounds
from src.decide.choice import Decision
from src.decide.next_training import next_training
from src.decide.open_questions import open_questions
from src.decide.rule import OVERALL, file_of
from src.decide.sensitivity import sensitivity
from src.decide.settings import load_decision
from src.decide.verdict import verdict
from src.report import write_report
from src.report.headline import headline
from tests.report.factory import Sweep, There, deep_study, device
from tests.report.test_page_one import open_sweep

PI5, SERVER = {"onnx/fp32": There(10.0), "onnx/int8": There(40.0)}, {"onnx/fp32": There(0.5), "onnx/int8": There(0.4)}


def two_devices() -> Sweep:
    sweep = deep_study()
    sweep.devices = [device("pi5", sweep.finalists, PI5, 0.01), device("server", sweep.finalists, SERVER, 0.01)]
    return sweep


def decided(tmp_path: Path, records: Sweep | None = None, /, **devices: dict[str, Any]) -> Decision:
    return load_decision((records or two_devices()).write(tmp_path), {"devices": devices})


def test_each_device_is_decided_as_it_would_be_alone(tmp_path: Path) -> None:
    decision = decided(tmp_path, pi5={"max_latency_ms": 400}, server={"max_latency_ms": 10})
    assert decision.across is not None
    for d, limit in zip(decision.across.devices, (400, 10), strict=True):
        alone = load_decision(tmp_path / "sweeps/friday", {"device": d.name, "max_latency_ms": limit})
        assert d.choice.recommended is not None
        assert alone.recommended is not None
        assert d.choice.recommended.key == alone.recommended.key
        assert {c.key for c in d.choice.feasible} == alone.feasible


def test_one_model_for_all_keeps_every_limit_and_its_price_is_told(tmp_path: Path) -> None:
    decision = decided(tmp_path, pi5={"max_latency_ms": 400}, server={"max_latency_ms": 50})
    assert decision.across is not None
    chosen = decision.recommended
    assert chosen is not None
    assert (chosen.format, chosen.precision) == ("onnx", "fp32")  # INT8 at 320 px is too slow on the Pi
    for d in decision.across.devices:
        assert d.runs(file_of(chosen)) in d.choice.feasible
    pi5, server = decision.across.prices(chosen)
    assert (pi5.shared, pi5.speed and pi5.speed.ratio) == (pi5.alone, 1.0)
    assert server.alone.precision == "int8"
    assert server.lost.delta == pytest.approx(server.alone.score.mean - server.shared.score.mean)
    assert server.speed is not None
    assert server.speed.low < 1.5 / 0.8 < server.speed.high  # 6 ms x 0.5 against 4 ms x 0.4
    assert "reason_for_all" in [n.key for n in verdict(decision).reasons]


def test_a_limit_of_one_device_takes_the_file_away_from_all(tmp_path: Path) -> None:
    loose = decided(tmp_path, pi5={"max_latency_ms": 400}, server={"max_latency_ms": 50})
    tight = decided(tmp_path, pi5={"max_latency_ms": 100}, server={"max_latency_ms": 50})
    assert loose.recommended is not None
    assert tight.recommended is not None
    assert (loose.recommended.configuration.imgsz, tight.recommended.configuration.imgsz) == (320, 160)


def test_where_no_file_does_for_all_each_device_still_has_its_best(tmp_path: Path) -> None:
    decision = decided(tmp_path, pi5={"max_latency_ms": 70}, server={"max_latency_ms": 2})
    judged = verdict(decision)
    assert decision.recommended is None
    assert judged.word == "conditional"
    assert [n.key for n in judged.reasons] == ["reason_none_for_all", "best_there", "best_there"]


def test_where_nothing_does_for_any_device_the_limits_are_named_and_nothing_else(tmp_path: Path) -> None:
    decision = decided(tmp_path, pi5={"max_latency_ms": 0.001}, server={"max_latency_ms": 0.001})
    judged = verdict(decision)
    assert judged.word == "reject"
    assert [n.key for n in judged.reasons] == ["reason_none_for_all", "none_there", "none_there"]


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (
            {"latency": "p90", "max_latency_ms": 400},
            "decision.devices.pi5.max_latency_ms limits what nobody measured: p90",
        ),
        ({"runtime": "litert"}, "decision.devices.pi5.runtime names a runtime that no candidate ran on"),
    ],
)
def test_a_limit_on_what_nobody_measured_there_is_told(tmp_path: Path, limits: dict[str, Any], words: str) -> None:
    """Too few calls on a slow device leave no percentile beyond the median."""
    records = two_devices()
    records.devices[0] = replace(
        records.devices[0],
        measurements=[replace(m, latency=replace(m.latency, p90=None)) for m in records.devices[0].measurements],
    )
    with pytest.raises(UserError, match=re.escape(words)):
        decided(tmp_path, records, pi5=limits, server={})


def test_a_device_without_a_record_is_an_open_condition(tmp_path: Path) -> None:
    sweep = two_devices()
    sweep.decision["devices"] = {"pi5": {}, "phone": {"max_latency_ms": 30}}
    decision = load_decision(sweep.write(tmp_path))
    assert decision.across is not None
    assert (decision.across.missing, decision.across.shared) == (["phone"], None)
    assert decision.recommended is not None
    said = [n for n in verdict(decision).conditions if n.key == "cond_device_unmeasured"]
    assert [n.values["device"] for n in said] == ["phone"]


def test_what_fails_on_one_device_does_not_do_for_all(tmp_path: Path) -> None:
    sweep = two_devices()
    failing = {"onnx/fp32": There(10.0, lacks=0.3, gate="fail"), "onnx/int8": There(40.0)}
    sweep.devices[0] = device("pi5", sweep.finalists, failing)
    decision = decided(tmp_path, sweep, pi5={}, server={})
    assert decision.recommended is not None
    assert decision.recommended.precision == "int8"


def test_other_scenarios_are_chosen_under_the_same_limits(tmp_path: Path) -> None:
    decision = decided(tmp_path, pi5={"max_latency_ms": 100}, server={"max_latency_ms": 50})
    assert all(o.recommended is None or o.recommended.configuration.imgsz == 160 for o in sensitivity(decision))


def test_the_machine_of_the_sweep_can_be_one_of_them(tmp_path: Path) -> None:
    decision = decided(tmp_path, sweep={"max_latency_ms": 7}, pi5={})
    assert decision.recommended is not None
    assert decision.recommended.latency["p90"] <= 7


def test_cost_over_all_devices_is_the_geometric_mean(tmp_path: Path) -> None:
    decision = decided(tmp_path, pi5={}, server={})
    assert decision.across is not None
    assert decision.across.shared is not None
    for file, joined in decision.across.shared.files.items():
        each = [c for d in decision.across.devices if (c := d.runs(file)) is not None]
        assert joined.latency[OVERALL] == pytest.approx(math.prod(c.latency["p90"] for c in each) ** 0.5)


def test_joined_rounds_hold_what_their_intervals_promise() -> None:
    """A truly takes 0.9 and 1.3 times as long as B on two machines: 1.0817 over both, whatever scatters how much."""
    rng, truth, inside, repeats = random.Random(3), math.sqrt(0.9 * 1.3), 0, 1000
    for _ in range(repeats):
        sides: list[list[float]] = [[], []]
        for _ in range(5):
            shared = rng.gauss(0, 0.1)
            a = [math.log(0.9) + rng.gauss(0, 0.01), math.log(1.3) + rng.gauss(0, 0.08)]
            b = [rng.gauss(0, 0.01), rng.gauss(0, 0.08)]
            sides[0].append(math.exp(shared + sum(a) / 2))
            sides[1].append(math.exp(shared + sum(b) / 2))
        found = compare_rounds(*sides)
        inside += found.low <= truth <= found.high
    assert 0.93 <= inside / repeats <= 0.97


def test_what_is_open_goes_by_all_devices_as_the_choice_does(tmp_path: Path) -> None:
    """On the sweep's machine 160 px is the faster one; over both devices together it is the slower one."""
    slow, fast = open_sweep().finalists
    sweep = open_sweep()
    sweep.devices = [device(name, [slow], {"onnx/fp32": There(1.0)}, 0.01) for name in ("pi5", "server")]
    other = [device(name, [fast], {"onnx/fp32": There(100.0)}, 0.01) for name in ("pi5", "server")]
    sweep.devices = [
        replace(a, measurements=[*a.measurements, *b.measurements], verifications=[*a.verifications, *b.verifications])
        for a, b in zip(sweep.devices, other, strict=True)
    ]
    here = load_decision(sweep.write(tmp_path / "here"))
    assert [q.candidate.configuration.imgsz for q in open_questions(here)] == [160]
    assert headline(here)[-1].role == "refused"
    both = decided(tmp_path / "both", sweep, pi5={}, server={})
    assert both.recommended is not None
    assert both.recommended.configuration.imgsz == 320
    assert open_questions(both) == []
    assert [row.role for row in headline(both)] == ["both"]
    assert next_training(both, 50).config_id, "it is merely the best by its mean, and the other one is no cheaper"


def test_ratios_of_page_one_are_those_that_decide(tmp_path: Path) -> None:
    path = write_report(open_on_devices().write(tmp_path), tmp_path / "reports")
    page = path.read_text().split("\n## ")[0]
    assert "Latency over all devices (geometric mean of their" in page
    decision = load_decision(tmp_path / "sweeps/friday")
    (question,) = open_questions(decision)
    assert decision.shared is not None
    assert decision.recommended is not None
    assert question.ratio == pytest.approx(decision.cost(question.candidate) / decision.cost(decision.recommended))
    told = json.loads(path.with_suffix(".json").read_text())["open"][0]
    assert told["latency_ratio"] == pytest.approx(question.ratio, rel=0.05)
    assert f"{question.ratio:.2f}" in page


def open_on_devices() -> Sweep:
    sweep = open_sweep(devices={"pi5": {}, "server": {}})
    how = {"onnx/fp32": There(3.0)}
    sweep.devices = [device(name, sweep.finalists, how) for name in ("pi5", "server")]
    return sweep
