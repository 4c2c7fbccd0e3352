"""Quantiles and the worth of calls, held against numpy and against series whose autocorrelation is known."""

from __future__ import annotations

import numpy as np
import pytest

from src.common.samples import effective_samples, quantile, round_values, supported


@pytest.mark.parametrize("n", [1, 2, 5, 175, 700])
@pytest.mark.parametrize("q", [0.5, 0.9, 0.99])
def test_quantiles_are_numpys_median_unbiased_ones(n: int, q: float) -> None:
    values = np.random.default_rng(n).gamma(2, 1, n)
    assert quantile(list(values), q) == pytest.approx(np.quantile(values, q, method="median_unbiased"))


def _bursts(rng: np.random.Generator, count: int, length: int) -> list[float]:
    """Every tenth call slow, in bursts of `length`."""
    slow = np.repeat(rng.random(count // length) < 0.1, length)
    return list(1 + slow + 0.01 * rng.random(len(slow)))


def test_independent_calls_count_in_full() -> None:
    rng = np.random.default_rng(0)
    worth = [effective_samples([list(rng.gamma(4, 1, 175)) for _ in range(4)]) for _ in range(200)]
    assert np.mean(np.array(worth) == 700) > 0.95
    assert effective_samples([[1.0] * 30]) == 30
    assert effective_samples([[1.0]]) == 1


@pytest.mark.parametrize("length", [2, 5])
def test_calls_that_are_slow_together_count_as_one(length: int) -> None:
    rng = np.random.default_rng(1)
    worth = np.mean([effective_samples([_bursts(rng, 1000, length) for _ in range(4)]) for _ in range(50)])
    assert worth == pytest.approx(4000 / length, rel=0.25)


def test_a_level_that_differs_between_blocks_is_no_autocorrelation() -> None:
    rng = np.random.default_rng(2)
    assert effective_samples([list(level + rng.random(300)) for level in (1, 5, 20)]) == 900


def test_p99_needs_effective_calls() -> None:
    rng = np.random.default_rng(3)
    assert "p99" in supported([list(rng.random(700))])
    clustered = [_bursts(rng, 1000, 4)]
    assert set(supported(clustered)) == {"p50", "p90", "p95"}
    assert set(round_values(clustered)) == {"p50", "p90", "p95", "mean"}
