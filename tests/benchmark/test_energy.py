"""Joules of an image: counted while calls are timed, and nothing where a round lacks what another has."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import pytest

from src.benchmark import latency
from src.benchmark.bundle.foreign_blocks import _joules
from src.benchmark.latency import TimingPlan, time_model
from src.benchmark.summary import _energy
from src.inference import Float


class _Session:
    def run(self, x: Float) -> list[Float]:
        return [x]


def rounds(counted: Sequence[dict[str, float]], calls: int = 10) -> list[dict[str, Any]]:
    return [{"energy_j": joules, "samples_ms": [1.0] * calls} for joules in counted]


def test_calls_are_counted_and_the_card_only_where_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def metered(*, gpu: bool, into: dict[str, float]) -> AbstractContextManager[None]:
        asked.append(gpu)
        into["package-0"] = 3.0
        return nullcontext()

    monkeypatch.setattr(latency, "metered", metered)
    batches = [np.zeros((1, 3, 4, 4), np.float32)]
    plan = TimingPlan(2, 5, 0.0, 1.0)
    assert time_model(_Session(), batches, plan, gpu=True).energy_j == {"package-0": 3.0}
    time_model(_Session(), batches, plan)
    assert asked == [True, False]


def test_joules_of_an_image_are_those_of_all_counters() -> None:
    found = _energy(rounds([{"a": 4.0, "b": 1.0}, {"a": 6.0, "b": 1.0}]), batch=2)
    assert found["energy_image_j"] == pytest.approx(12 / 40)
    assert found["energy_image_low_j"] < 0.25 < 0.35 < found["energy_image_high_j"]
    assert set(_energy(rounds([{"a": 4.0}]), batch=1)) == {"energy_image_j"}, "one round has no interval"


@pytest.mark.parametrize("counted", [[{}, {}], [{"a": 1.0}, {}], [{"a": 1.0}, {"a": 1.0, "b": 1.0}], [{"a": 0.0}] * 2])
def test_what_is_not_counted_everywhere_is_not_measured(counted: list[dict[str, float]]) -> None:
    assert _energy(rounds(counted), batch=1) == {}


def test_a_device_that_says_nonsense_of_energy_is_refused() -> None:
    assert _joules(None) == {}
    assert _joules({"package-0": 2}) == {"package-0": 2.0}
    for wrong in ({"package-0": -1}, {"package-0": "x"}, {"package-0": float("inf")}):
        with pytest.raises(ValueError, match="counter of energy"):
            _joules(wrong)
