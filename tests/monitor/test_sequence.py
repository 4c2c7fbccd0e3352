"""Confidence sequences: the formulas, and that they hold at every look together."""

from __future__ import annotations

import math

import numpy as np
import pytest

from src.monitor.sequence import FEWEST, half_width, one_sided, rho_squared


def test_values_by_hand() -> None:
    rho = (-2 * math.log(0.05) + math.log(-2 * math.log(0.05)) + 1) / 500
    assert rho_squared(0.05) == pytest.approx(rho) == pytest.approx(0.017563, rel=1e-3)
    t, v = 300, 0.4
    scale = v * 2 * (t * rho + 1) / (t**2 * rho)
    assert half_width(v, t, 0.05) == pytest.approx(math.sqrt(scale * math.log(math.sqrt(t * rho + 1) / 0.05)))
    assert one_sided(v, t, 0.05) == pytest.approx(math.sqrt(scale * math.log(1 + math.sqrt(t * rho + 1) / 0.1)))


def test_nothing_is_claimed_below_the_fewest() -> None:
    assert half_width(0.0, FEWEST - 1, 0.05) == one_sided(0.0, FEWEST - 1, 0.05) == math.inf
    assert math.isfinite(half_width(1.0, FEWEST, 0.05))


def test_one_sided_is_narrower_and_both_shrink() -> None:
    widths = [(one_sided(1.0, t, 0.05), half_width(1.0, t, 0.05)) for t in (50, 500, 5000, 50_000)]
    assert all(one < both for one, both in widths)
    assert widths == sorted(widths, reverse=True)


def test_the_bounds_hold_at_every_look_together_where_the_usual_ones_do_not() -> None:
    """1,000 paths of 2,000 normal values: how often a bound is ever crossed."""
    steps = np.arange(1, 2001)
    means = np.cumsum(np.random.default_rng(0).normal(size=(1000, 2000)), axis=1) / steps
    both = np.array([half_width(1.0, int(t), 0.05) for t in steps])
    one = np.array([one_sided(1.0, int(t), 0.05) for t in steps])
    usual = np.where(steps >= FEWEST, 1.96 / np.sqrt(steps), np.inf)
    crossed = [float((np.abs(means) > width).any(axis=1).mean()) for width in (both, usual)]
    assert crossed[0] <= 0.05
    assert (means > one).any(axis=1).mean() <= 0.05
    assert crossed[1] > 0.3
