"""The pure distributions hold against scipy's."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from src.common import statistics


@pytest.mark.parametrize("freedom", [0.7, 1.0, 2.5, 7.0, 59.0, 400.0, math.inf])
@pytest.mark.parametrize("probability", [0.5, 0.9, 0.95, 0.975, 0.9999])
def test_quantiles_of_t_are_scipys(freedom: float, probability: float) -> None:
    reference = stats.norm.ppf(probability) if math.isinf(freedom) else stats.t.ppf(probability, freedom)
    assert statistics.t_quantile(probability, freedom) == pytest.approx(reference, rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("t", [-3.0, -0.4, 0.0, 1.0, 6.0])
@pytest.mark.parametrize("freedom", [1.0, 4.5, 30.0, math.inf])
def test_tails_of_t_are_scipys(t: float, freedom: float) -> None:
    reference = stats.norm.sf(t) if math.isinf(freedom) else stats.t.sf(t, freedom)
    assert statistics.t_upper(t, freedom) == pytest.approx(reference, rel=1e-9)


@pytest.mark.parametrize(("f", "a", "b"), [(0.3, 1, 3), (1.0, 2, 10), (17.0, 1, 3), (4.0, 5.5, 8.25)])
def test_tails_of_f_are_scipys(f: float, a: float, b: float) -> None:
    assert statistics.f_upper(f, a, b) == pytest.approx(stats.f.sf(f, a, b), rel=1e-9)


def test_satterthwaite_adds_variances_and_weighs_their_freedom() -> None:
    total, freedom = statistics.satterthwaite([(2.0, 4.0), (1.0, 8.0), (1.0, math.inf)])
    assert total == 4.0
    assert freedom == pytest.approx(16 / (4 / 4 + 1 / 8))
    assert statistics.satterthwaite([(0.0, 3.0)]) == (0.0, math.inf)


@pytest.mark.parametrize("freedom", [1.0001e7, 1e15, 1e308, math.inf])
def test_t_of_very_many_degrees_of_freedom_is_normal(freedom: float) -> None:
    near = pytest.approx(statistics.t_quantile(0.95, 9.9e6), rel=1e-6)
    assert statistics.t_quantile(0.95, freedom) == statistics.normal_quantile(0.95) == near
    assert statistics.t_upper(1.7, freedom) == statistics.normal_upper(1.7)
