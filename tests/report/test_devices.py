"""Devices side by side in the report: figures from their records, both languages, and what the check derives again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from src.common.errors import UserError
from src.decide.settings import Again, given_again
from src.report import Options, load_decision, write_report
from src.report.check import check_report
from src.report.devices import machines
from src.report.figures import devices
from src.report.terminal import device_lines
from src.report.text import catalogue
from src.report.write import texts
from tests.report.factory import Sweep, There, deep_study, device
from tests.report.test_french import ENGLISH, QUOTED

LIMITS = {"pi5": {"max_latency_ms": 400}, "server": {"max_latency_ms": 50}}


def sweep_of(**decision: Any) -> Sweep:
    sweep = deep_study(decision={"name": "default", "max_export_loss": 0.02, "margin": 0.03, **decision})
    pi5 = {"onnx/fp32": There(10.0, version="1.19"), "onnx/int8": There(40.0)}
    server = {"onnx/fp32": There(0.5), "onnx/int8": There(0.4)}
    sweep.devices = [device("pi5", sweep.finalists, pi5, 0.01), device("server", sweep.finalists, server, 0.01)]
    return sweep


def test_document_and_json_show_every_machine(tmp_path: Path) -> None:
    folder = sweep_of(devices=LIMITS).write(tmp_path)
    path = write_report(folder, tmp_path / "reports")
    text, told = path.read_text(), json.loads(path.with_suffix(".json").read_text())
    assert "onnxruntime 1.19, here 1.0" in text
    assert "figures/devices.png" in text
    assert "The ranking turns over" in text
    assert [d["device"] for d in told["devices"]] == ["sweep", "pi5", "server"]
    first = {d["device"]: d["measured"][0] for d in told["devices"]}
    record = load_decision(folder).saved.devices["pi5"]
    values = {m.latency.p90 for m in record.measurements}
    assert first["pi5"]["latency_ms"] in values
    assert first["pi5"]["latency_ratio"]["ratio"] == pytest.approx(10, rel=0.05)
    for t in told["turnovers"]:
        assert t["faster"]["high"] < 1 < t["slower"]["low"]
        assert {t["candidate"]["precision"], t["rival"]["precision"]} == {"fp32", "int8"}
    across = told["across"]
    assert across["one_for_all"]["precision"] == "fp32"
    assert [e["recommended"]["precision"] for e in across["each"]] == ["fp32", "int8"]
    assert across["each"][1]["shared_latency_ratio"]["low"] > 1
    assert check_report(folder, tmp_path / "reports") == []


def test_an_interval_of_decades_does_not_flatten_the_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decision = load_decision(sweep_of(devices=LIMITS).write(tmp_path))
    found = machines(decision)
    wide = next(c for c in found["pi5"] if c.measured)
    wide.latency_interval[decision.statistic] = (1e-6, 1e9)
    monkeypatch.setattr(devices, "machines", lambda _: found)
    figure = devices.devices_figure(decision, catalogue("en"))
    assert figure is not None
    axes = figure.axes[0]
    low, high = axes.get_ylim()
    marks = [tick for tick in axes.get_yticks() if low <= tick <= high]
    assert len(marks) >= 3
    assert high / low < 1000


@pytest.mark.slow
def test_the_check_derives_again_what_was_decided_again(tmp_path: Path) -> None:
    folder = sweep_of().write(tmp_path)
    path = write_report(folder, tmp_path / "reports", Options(again={"device": "pi5", "max_latency_ms": 100}))
    told = json.loads(path.with_suffix(".json").read_text())
    assert (told["decided_on"], told["decided_with"]) == ("pi5", {"device": "pi5", "max_latency_ms": 100})
    assert "measured on pi5" in path.read_text()
    assert check_report(folder, tmp_path / "reports") == []
    altered = path.with_suffix(".json").read_text().replace('"device": "pi5"', '"device": "server"')
    path.with_suffix(".json").write_text(altered)
    assert check_report(folder, tmp_path / "reports")


def test_the_terminal_says_who_decides_and_what_each_device_gets(tmp_path: Path) -> None:
    folder = sweep_of(devices=LIMITS).write(tmp_path)
    lines = device_lines(load_decision(folder))
    assert lines[0].startswith("One for all (pi5, server): ")
    assert [line.split(" alone")[0] for line in lines[1:]] == ["The best for pi5", "The best for server"]
    alone = load_decision(folder, {"device": "pi5"})
    assert alone.across is None, "a device that is asked for decides alone"
    assert device_lines(alone) == ["Decided by the measurements of: pi5"]


NONE = {"pi5": {"max_latency_ms": 1}}


@pytest.mark.parametrize("again", [{}, {"devices": LIMITS}, {"devices": NONE}, {"device": "pi5"}])
def test_the_french_report_is_french(again: dict[str, Any], tmp_path: Path) -> None:
    folder = sweep_of(devices={**LIMITS, "phone": {}}).write(tmp_path)
    written = texts(load_decision(folder, again), Options("fr", again), [Path("figures/devices.png")])
    for line in (written["decision.md"] + written["appendix.md"]).splitlines():
        found = ENGLISH.search(QUOTED.sub(" ", line))
        assert not found, f"{found.group(0)!r} in {line!r}"


def test_a_sweep_without_devices_has_no_word_on_them(tmp_path: Path) -> None:
    written = texts(load_decision(deep_study().write(tmp_path)), Options(), [])
    assert "Devices side by side" not in written["decision.md"]
    told = json.loads(written["decision.json"])
    assert (told["devices"], told["turnovers"], told["across"]) == ([], [], None)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("device", "../pi5", "decision.device"),
        ("device", 5, "decision.device"),
        ("devices", {}, "decision.devices"),
        ("devices", "pi5", "decision.devices"),
        ("devices", {"pi5": 80}, "decision.devices.pi5"),
        ("devices", {"pi5": {"max_latncy_ms": 80}}, "decision.devices.pi5.max_latncy_ms"),
        ("devices", {"pi5": {"max_latency_ms": "quick"}}, "decision.devices.pi5.max_latency_ms"),
        ("devices", {"pi5": {"max_latency_ms": float("nan")}}, "decision.devices.pi5.max_latency_ms"),
        ("devices", {"pi5": {"max_latency_ms": -1}}, "decision.devices.pi5.max_latency_ms"),
        ("devices", {"pi5": {"latency": "p42"}}, "decision.devices.pi5.latency"),
        ("devices", {"pi5": {"batch": True}}, "decision.devices.pi5.batch"),
        ("devices", {"a/b": {}}, "decision.devices"),
        ("devices", {"cpu": {}}, "decision.devices"),
        ("max_latency_ms", True, "decision.max_latency_ms"),
        ("batch", 0, "decision.batch"),
        ("latency", "p42", "decision.latency"),
        ("runtime", 3, "decision.runtime"),
    ],
)
def test_what_makes_no_sense_is_refused(key: str, value: object, said: str) -> None:
    with pytest.raises(UserError, match=said) as told:
        given_again(Again(**{key: value}))
    assert told.value.remedy
