"""Intervals and verdicts on latency hold what they say, on simulated machines."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.latency_coverage import World, coverage, ground_truth, verdicts

BETWEEN = [0.02, 0.03, 0.04]


@pytest.mark.slow
@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize(("rounds", "most"), [(4, 0), (8, 0), (4, 8)])
def test_intervals_of_p50_and_p90_hold_the_truth(between: float, rounds: int, most: int) -> None:
    found = coverage(World(between), rounds, 400, most=most)
    assert found["p50"] >= 0.92
    assert found["p90"] >= 0.92
    assert found["width_p50"] < 4 * between  # and say something
    assert found["rounds"] == rounds if not most else rounds < found["rounds"] < most


@pytest.mark.slow
@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("rounds", [4, 8])
def test_verdicts_keep_their_errors(between: float, rounds: int) -> None:
    equal = verdicts(World(between), rounds, 1.0, 400)
    assert equal["faster"] + equal["slower"] <= 0.05
    assert equal["different"] <= 0.05
    assert verdicts(World(between), rounds, 1.03, 400)["refused"] <= 0.05
    assert verdicts(World(between), rounds, 1.25, 400)["refused"] >= 0.8


def test_the_simulated_machine_is_what_it_says() -> None:
    """Quick: a world without tail or autocorrelation is log-normal, and its truth is known."""
    plain = World(between=0.0, alike=0.0, slow=0.0)
    assert ground_truth(plain)["p50"] == pytest.approx(10, rel=1e-3)
    assert ground_truth(plain)["p90"] == pytest.approx(10 * math.exp(0.03 * 1.2816), rel=1e-3)
    series = World(alike=0.5, slow=0.0).process(np.random.default_rng(1), 20_000)
    assert np.corrcoef(series[:-1], series[1:])[0, 1] == pytest.approx(0.5, abs=0.03)
    assert np.std(series) == pytest.approx(0.03, rel=0.05)
    slow = World(within=0.001, slow=0.1).process(np.random.default_rng(1), 30_000)
    assert np.mean(slow > 0.01) == pytest.approx(0.1, abs=0.02)


def test_coverage_counts_intervals() -> None:
    found = coverage(World(0.02), 4, 20)
    assert set(found) == {"p50", "p90", "p99", "width_p50", "width_p90", "rounds"}
    assert found["p50"] > 0.7
    assert sum(verdicts(World(0.02), 4, 2.0, 5)[n] for n in ("faster", "slower", "tie", "no decision")) == 1
