"""Arrivals are those of a Poisson process."""

from __future__ import annotations

import numpy as np
import pytest

from src.loadtest.schedule import poisson


@pytest.mark.parametrize("rate", [0.5, 20.0, 900.0])
def test_gaps_are_exponential_and_the_rate_is_kept(rate: float) -> None:
    seconds = 40_000 / rate
    times = poisson(rate, seconds, seed=3)
    gaps = np.diff(times)
    assert (gaps >= 0).all()
    assert times[-1] < seconds
    assert len(times) == pytest.approx(40_000, abs=4 * 200)
    assert gaps.std() / gaps.mean() == pytest.approx(1, abs=0.03)
    assert (gaps > 1 / rate).mean() == pytest.approx(np.exp(-1), abs=0.01)


def test_a_seed_is_a_schedule() -> None:
    assert np.array_equal(poisson(10, 5, 1), poisson(10, 5, 1))
    assert not np.array_equal(poisson(10, 5, 1)[:10], poisson(10, 5, 2)[:10])
