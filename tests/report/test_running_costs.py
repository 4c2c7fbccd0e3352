"""Price and energy of 1,000 images: from the mean latency and the counted joules, and nothing without a rate."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from src.common.errors import UserError
from src.config.devices import check_devices
from src.decide.settings import Again, given_again
from src.report import Options, load_decision, write_report
from src.report.check import check_report
from src.report.running_costs import decimals
from src.report.write import texts
from tests.report.factory import Sweep, There, deep_study, device

COLUMNS = {"price_per_1000", "energy_wh_per_1000", "currency"}


def sweep_of(joules: float | None = 0.36, **decision: Any) -> Sweep:
    sweep = deep_study(decision={"name": "default", "max_export_loss": 0.02, "margin": 0.03, **decision})
    if joules is not None:
        counted = {"energy_image_j": joules, "energy_image_low_j": 0.9 * joules, "energy_image_high_j": 1.2 * joules}
        sweep.finalists = [
            replace(f, measurements=[replace(m, extra=m.extra | counted) for m in f.measurements])
            for f in sweep.finalists
        ]
    return sweep


def test_the_price_is_the_mean_time_at_the_rate_with_the_interval_of_the_mean(tmp_path: Path) -> None:
    folder = sweep_of(price_per_hour=0.5, currency="CHF").write(tmp_path)
    path = write_report(folder, tmp_path / "reports")
    told, found = json.loads(path.with_suffix(".json").read_text()), load_decision(folder).candidates
    assert (told["price_per_hour"], told["currency"]) == (0.5, "CHF")
    for row, c in zip(told["candidates"], found, strict=True):
        low, high = c.latency_interval["mean"]
        assert row["metrics"]["price_per_1000"] == pytest.approx(c.latency["mean"] / 3600 * 0.5)
        assert row["interval"]["price_per_1000"] == pytest.approx([low / 3600 * 0.5, high / 3600 * 0.5])
        assert row["metrics"]["energy_wh_per_1000"] == pytest.approx(0.1)
        assert row["interval"]["energy_wh_per_1000"] == pytest.approx([0.09, 0.12])
    rows = list(csv.DictReader((path.parent / "benchmark.csv").open()))
    assert {row["currency"] for row in rows} == {"CHF"}
    for row in rows:
        assert float(row["price_per_1000"]) == pytest.approx(float(row["latency_mean_ms"]) / 3600 * 0.5)
    text, appendix = path.read_text(), (path.parent / "appendix.md").read_text()
    assert "Price of 1,000 images, CHF" in text
    assert "0.100 [0.090; 0.120]" in text
    assert "Price of 1,000 images, CHF" in appendix
    assert check_report(folder, tmp_path / "reports") == []


def test_a_larger_batch_divides_the_price(tmp_path: Path) -> None:
    from src.decide.running_cost import running_cost

    m = next(iter(sweep_of().finalists)).measurements[0]
    one, eight = running_cost([m], 1.0), running_cost([replace(m, batch=8)], 1.0)
    assert eight.price == pytest.approx(one.price / 8)
    assert eight.energy_wh == one.energy_wh, "joules are counted by image already"


def test_without_a_rate_nothing_is_said(tmp_path: Path) -> None:
    folder = sweep_of().write(tmp_path)
    written = texts(load_decision(folder), Options(), [])
    assert not any("1,000 images" in written[name] for name in ("decision.md", "appendix.md"))
    assert not COLUMNS & set(written["benchmark.csv"].splitlines()[0].split(","))
    told = json.loads(written["decision.json"])
    assert told["price_per_hour"] is None
    assert "price_per_1000" not in told["candidates"][0]["metrics"]


def test_energy_that_nobody_counted_is_not_measured(tmp_path: Path) -> None:
    folder = sweep_of(joules=None).write(tmp_path)
    written = texts(load_decision(folder, {"price_per_hour": 2.0}), Options(), [])
    assert "not measured" in written["decision.md"]
    told = json.loads(written["decision.json"])
    assert told["candidates"][0]["metrics"]["energy_wh_per_1000"] is None
    assert told["candidates"][0]["interval"]["energy_wh_per_1000"] == [None, None]


def test_each_device_has_a_rate_of_its_own(tmp_path: Path) -> None:
    sweep = sweep_of(price_per_hour=1.0, devices={"pi5": {"price_per_hour": 0.01}, "server": {}})
    there = {"onnx/fp32": There(10.0), "onnx/int8": There(40.0)}
    sweep.devices = [device(name, sweep.finalists, there, 0.01) for name in ("pi5", "server")]
    folder = sweep.write(tmp_path)
    written = texts(load_decision(folder), Options(), [])
    told = {d["device"]: d["measured"][0] for d in json.loads(written["decision.json"])["devices"]}
    assert told["pi5"]["price_per_1000"] == pytest.approx(told["sweep"]["price_per_1000"] * 10 / 100, rel=0.1)
    assert told["server"]["price_per_1000"] is None, "the rate of one machine is not that of another"
    assert "no rate stated" in written["decision.md"]


def test_a_device_that_decides_has_the_rate(tmp_path: Path) -> None:
    sweep = sweep_of(price_per_hour=1.0)
    sweep.devices = [device("pi5", sweep.finalists, {"onnx/fp32": There(10.0), "onnx/int8": There(40.0)}, 0.01)]
    folder = sweep.write(tmp_path)
    told = json.loads(texts(load_decision(folder, {"device": "pi5"}), Options(), [])["decision.json"])
    measured = {d["device"]: d["measured"][0] for d in told["devices"]}
    assert measured["pi5"]["price_per_1000"] > 0
    assert measured["sweep"]["price_per_1000"] is None


@pytest.mark.parametrize(
    "given", [{"price_per_hour": 0}, {"price_per_hour": "x"}, {"currency": ""}, {"currency": "a|b"}]
)
def test_what_is_no_rate_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"decision.{next(iter(given))}"):
        given_again(Again(**given))


def test_a_device_with_a_rate_below_zero_is_refused() -> None:
    with pytest.raises(UserError, match="price_per_hour"):
        check_devices({"pi5": {"price_per_hour": -1}})


@pytest.mark.parametrize(("value", "digits"), [(0.000691, 6), (0.1, 3), (12.3, 1), (1234.0, 0), (0.0, 3)])
def test_three_digits_count(value: float, digits: int) -> None:
    assert decimals(value) == digits
