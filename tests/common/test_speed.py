"""Comparisons of round values: against scipy, and by the verdicts that a decision takes from them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from src.common.speed import compare_rounds, estimate
from src.decide.round_values import rounds_of
from src.records.parsing import parse
from src.records.schema import Latency, Measurement
from src.records.store import to_json

MEASURED = Measurement(
    "onnx", "fp32", "sha", "onnxruntime", "1", "cpu", "model_only", 1, 1, 64,
    Latency(4, 1.0, 1.0, None, None, None), 1.0, 1.0, 1.0, 1.0, 1, "benchmark/raw.json",
)  # fmt: skip


def test_an_estimate_is_students_on_logarithms() -> None:
    values = [3.0, 3.3, 2.9, 3.1]
    low, high = np.exp(scipy.stats.t.interval(0.95, 3, np.mean(np.log(values)), scipy.stats.sem(np.log(values))))
    found = estimate(values)
    assert (found.value, found.low, found.high) == pytest.approx((scipy.stats.gmean(values), low, high))
    assert found.precision == pytest.approx(np.log(high / low) / 2)
    assert math.isinf(estimate([3.0]).precision)


def test_pairs_cancel_what_a_round_did_to_both() -> None:
    a, b = [10.0, 13.1, 8.0, 11.2], [12.0, 15.6, 9.7, 13.3]
    paired, apart = compare_rounds(a, b), compare_rounds(a, b, paired=False)
    assert paired.verdict == "faster"
    assert apart.verdict == "no decision"
    low, high = np.exp(scipy.stats.ttest_rel(np.log(a), np.log(b)).confidence_interval())
    assert (paired.low, paired.high) == pytest.approx((low, high))


def test_rounds_that_are_not_the_same_ones_compare_by_welch() -> None:
    a, b = [10.0, 10.4, 9.8, 10.1, 10.2], [13.0, 12.0, 12.8]
    result = compare_rounds(a, b)
    low, high = np.exp(scipy.stats.ttest_ind(np.log(a), np.log(b), equal_var=False).confidence_interval())
    assert (result.low, result.high) == pytest.approx((low, high))
    assert result.verdict == "faster"
    assert compare_rounds(b, a).verdict == "slower"


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        ([1.0] * 3, [1.0] * 3, "tie"),
        ([1.03] * 3, [1.0] * 3, "tie"),  # surely slower, by what doesn't matter
        ([1.06] * 3, [1.0] * 3, "slower"),
        ([1.0], [2.0], "no decision"),
        ([1.0, 1.0], [2.0], "no decision"),
        ([1.0, 3.0, 0.5], [1.0] * 3, "no decision"),
    ],
)
def test_verdicts(a: list[float], b: list[float], verdict: str) -> None:
    assert compare_rounds(a, b).verdict == verdict


def test_a_margin_of_ones_own() -> None:
    assert compare_rounds([1.06] * 3, [1.0] * 3, margin=0.10).verdict == "tie"


@pytest.mark.parametrize(("a", "b"), [([], [1.0]), ([0.0], [1.0]), ([math.nan], [1.0]), ([math.inf], [1.0])])
def test_durations_must_be_durations(a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError, match="durations above 0"):
        compare_rounds(a, b)
    with pytest.raises(ValueError, match="same number"):
        compare_rounds([1.0, 1.0], [1.0], paired=True)


def _raw(folder: Path, rounds: object) -> Measurement:
    (folder / "benchmark").mkdir(exist_ok=True)
    (folder / "benchmark" / "raw.json").write_text(json.dumps({"rounds": rounds}))
    return MEASURED


def test_older_records_are_read_from_their_raw_samples(tmp_path: Path) -> None:
    rounds = [{"model_only/1": {"samples_ms": [1.0, 2.0, 3.0]}}, {"model_only/1": {"samples_ms": [2.0, 4.0, 9.0]}}]
    assert rounds_of(_raw(tmp_path, rounds), tmp_path) == {"p50": [2.0, 4.0], "mean": [2.0, 5.0]}
    assert rounds_of(replace(MEASURED, batch=2), tmp_path) == {}
    assert rounds_of(replace(MEASURED, rounds={"p50": [7.0]}), tmp_path) == {"p50": [7.0]}


@pytest.mark.parametrize(
    "rounds",
    [None, 3, [], [{}], [{"model_only/1": {"samples_ms": []}}], [{"model_only/1": {"samples_ms": [-1.0, 2.0]}}]],
)
def test_raw_samples_that_make_no_sense_are_as_good_as_none(tmp_path: Path, rounds: object) -> None:
    assert rounds_of(_raw(tmp_path, rounds), tmp_path) == {}


def test_raw_samples_outside_of_the_folder_are_not_read(tmp_path: Path) -> None:
    _raw(tmp_path, [{"model_only/1": {"samples_ms": [1.0, 2.0]}}])
    inner = tmp_path / "sweep"
    inner.mkdir()
    for name in ("../benchmark/raw.json", str(tmp_path / "benchmark" / "raw.json"), "missing.json"):
        assert rounds_of(replace(MEASURED, samples_file=name), inner) == {}


def test_a_record_without_rounds_is_still_read() -> None:
    older = json.loads(to_json(MEASURED))
    del older["rounds"]
    assert parse(Measurement, older, "older") == MEASURED
