"""Axes that can be read: a logarithmic one has several labelled ticks however little or much it spans."""

from __future__ import annotations

import pytest

from src.report.figures.style import log_latency, log_ticks, new_figure
from src.report.text import catalogue


@pytest.mark.parametrize(
    ("low", "high"),
    [(5, 16), (4.7, 17), (3.2, 3.4), (0.8, 1.1), (1, 6), (1, 7), (12, 90), (2, 40), (0.5, 400), (0.01, 5), (1e-3, 1e6)],
)
def test_there_are_ticks_enough_and_not_too_many(low: float, high: float) -> None:
    found = log_ticks(low, high)
    assert 4 <= len(found) <= 10
    assert found == sorted(set(found))
    assert all(low <= v <= high for v in found)
    assert all(len(f"{v:g}") <= 6 for v in found), "round ones"


def test_latencies_of_5_to_16_ms_are_labelled_in_the_notation_of_the_language() -> None:
    figure, axes = new_figure(8, 4.6)
    axes.plot([5.2, 16.1], [0.4, 0.5], "o")
    log_latency(axes, catalogue("fr"))
    figure.canvas.draw()
    low, high = axes.get_xlim()
    shown = [t.get_text() for t in axes.get_xticklabels() if low <= t.get_position()[0] <= high]
    assert shown == ["6", "8", "10", "12", "14", "16"]
