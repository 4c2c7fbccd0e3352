"""Curves of one character a value."""

from __future__ import annotations

import math

from src.common.sparkline import sparkline


def test_a_curve_from_nothing() -> None:
    assert sparkline([0.0, 0.5, 1.0]) == "▁▅█"
    assert sparkline([0.0, 0.0]) == "▁▁"
    assert sparkline([]) == ""
    assert sparkline([0.5], top=1.0) == "▅"
    assert sparkline([3.0], top=1.0) == "█"


def test_a_trend_between_its_own_ends() -> None:
    assert sparkline([1, 2, 3, 4], low=None) == "▁▃▆█"
    assert sparkline([1, 1], low=None) == "▁▁"
    assert sparkline([2, math.nan, 3], low=None) == "▁·█"
