"""Shares of variance: what decides, what does nothing, and when there is too little to say."""

from __future__ import annotations

import random

import pytest

from src.report.importance import LEAST_RUNS, importance


def test_the_key_that_decides_has_nearly_all() -> None:
    rng = random.Random(1)
    rows = [{"imgsz": str(s), "lr": f"{rng.uniform(1e-4, 1e-2)}"} for s in (160, 320) for _ in range(20)]
    scores = [0.3 + 0.2 * (r["imgsz"] == "320") + rng.gauss(0, 0.005) for r in rows]
    found = importance(rows, scores)
    assert list(found) == ["imgsz", "lr"]
    assert found["imgsz"] > 0.98
    assert found["lr"] < 0.1


def test_a_number_of_many_values_is_grouped() -> None:
    rows = [{"lr": str(0.001 * (i + 1))} for i in range(40)]
    assert importance(rows, [0.01 * i for i in range(40)])["lr"] > 0.9


def test_chance_is_taken_out() -> None:
    """Without any effect the mean over many sweeps is near zero, where the plain share would be 4 / 29."""
    shares = []
    for seed in range(200):
        rng = random.Random(seed)
        rows = [{"model": rng.choice("abcde")} for _ in range(30)]
        shares.append(importance(rows, [rng.gauss(0, 1) for _ in rows])["model"])
    assert sum(shares) / len(shares) < 0.06


@pytest.mark.parametrize("scores", [[], [0.1] * (LEAST_RUNS - 1), [0.1] * 20])
def test_too_few_or_equal_runs_say_nothing(scores: list[float]) -> None:
    assert importance([{"lr": str(i % 2)} for i in range(len(scores))], scores) == {}


def test_a_key_with_one_value_or_a_value_for_each_run_is_left_out() -> None:
    rows = [{"one": "x", "name": f"n{i}", "two": "ab"[i % 2]} for i in range(8)]
    assert list(importance(rows, [float(i) for i in range(8)])) == ["two"]
