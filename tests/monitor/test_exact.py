"""p values against scipy and against every order there is."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import scipy.stats

from src.monitor.exact import binomial_upper, fisher, smirnov


@pytest.mark.parametrize(("n", "m", "shift"), [(5, 7, 0.3), (40, 25, 0.8), (300, 60, 0.2), (1000, 50, 1.0), (7, 7, 0)])
def test_smirnov_is_scipys_without_ties(n: int, m: int, shift: float) -> None:
    rng = np.random.default_rng(n)
    a, b = rng.normal(size=n), rng.normal(shift, 1, m)
    expected = scipy.stats.ks_2samp(a, b, method="exact")
    size, p = smirnov(a, b)
    assert size == pytest.approx(expected.statistic)
    assert p == pytest.approx(expected.pvalue, rel=1e-6)
    assert smirnov(b, a) == pytest.approx((size, p))


@pytest.mark.parametrize("values", [[1, 1, 2, 3, 3, 3, 4, 5], [0, 0, 0, 0, 1, 1, 1, 1], [1, 2, 3, 4, 5, 6, 7, 8]])
def test_smirnov_with_ties_is_the_share_of_orders(values: list[int]) -> None:
    pool = np.array(values, float)
    chosen = (0, 1, 4)

    def largest(own: tuple[int, ...]) -> float:
        a = pool[list(own)]
        b = np.delete(pool, own)
        return float(max(abs(np.mean(a <= v) - np.mean(b <= v)) for v in pool))

    orders = [largest(own) for own in combinations(range(len(pool)), 3)]
    expected = np.mean([v >= largest(chosen) - 1e-12 for v in orders])
    size, p = smirnov(pool[list(chosen)], np.delete(pool, chosen))
    assert size == pytest.approx(largest(chosen))
    assert p == pytest.approx(expected)


def test_far_tails_keep_their_digits() -> None:
    """Two samples wholly apart: two of all orders are as extreme."""
    p = smirnov(np.arange(60.0), np.arange(100.0, 150.0))[1]
    assert p == pytest.approx(2 / scipy.special.comb(110, 50), rel=1e-9)


@pytest.mark.parametrize("shift", [0.0, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("level", [0.2, 0.01, 1e-4])
def test_above_the_level_a_lower_bound_is_given_and_the_verdict_is_the_same(shift: float, level: float) -> None:
    rng = np.random.default_rng(1)
    for _ in range(5):
        a, b = np.round(rng.normal(size=200), 1), np.round(rng.normal(shift, 1, 60), 1)
        exact, quick = smirnov(a, b)[1], smirnov(a, b, level)[1]
        assert quick <= exact * (1 + 1e-9)
        assert (quick <= level) == (exact <= level)
        assert quick > level or quick == exact


def test_nothing_and_equal_values_show_nothing() -> None:
    assert smirnov(np.array([]), np.array([1.0])) == (0.0, 1.0)
    assert smirnov(np.ones(50), np.ones(20)) == (0.0, 1.0)


@pytest.mark.parametrize(
    "table", [(0, 50, 200, 400), (3, 10, 7, 9), (50, 50, 300, 1000), (5, 100, 5, 100), (1, 1, 0, 9)]
)
def test_fisher_is_scipys(table: tuple[int, int, int, int]) -> None:
    hits, images, other, others = table
    expected = scipy.stats.fisher_exact([[hits, images - hits], [other, others - other]]).pvalue
    assert fisher(*table) == pytest.approx(expected, rel=1e-6)


def test_fisher_of_nothing_shows_nothing() -> None:
    assert [fisher(0, 0, 3, 5), fisher(0, 5, 0, 5), fisher(5, 5, 2, 2)] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(("hits", "tries", "share"), [(1, 10, 0.1), (20, 100, 0.1), (100, 100, 0.5), (0, 5, 0.2)])
def test_the_binomial_tail_is_scipys(hits: int, tries: int, share: float) -> None:
    assert binomial_upper(hits, tries, share) == pytest.approx(scipy.stats.binom.sf(hits - 1, tries, share), rel=1e-9)
