"""A rate that drops when nothing is gained: by tables of metrics, and whole after a restart."""

from __future__ import annotations

import pytest

from src.models.plateau import Plateau


def shares(values: list[float], plateau: Plateau) -> list[float]:
    found = []
    for value in values:
        plateau.epoch(value)
        found.append(plateau.share)
    return found


@pytest.mark.parametrize(
    ("values", "min_gain", "expected"),
    [
        ([0.1, 0.2, 0.3, 0.4], 0.0, [1, 1, 1, 1]),
        ([0.3, 0.2, 0.1, 0.1, 0.1], 0.0, [1, 1, 0.5, 0.5, 0.25]),
        ([0.3, 0.2, 0.4, 0.3, 0.3], 0.0, [1, 1, 1, 1, 0.5]),
        ([0.3, 0.31, 0.32, 0.4], 0.05, [1, 1, 0.5, 0.5]),
    ],
)
def test_the_rate_drops_after_epochs_without_a_gain(
    values: list[float], min_gain: float, expected: list[float]
) -> None:
    assert shares(values, Plateau(0.5, 2, min_gain)) == expected


def test_the_rate_stops_dropping_at_the_lowest() -> None:
    assert shares([0.5] * 6, Plateau(0.1, 1, lowest=0.05)) == [1, 0.1, 0.05, 0.05, 0.05, 0.05]


def test_a_restored_rate_goes_on_as_if_it_had_not_been_away() -> None:
    values = [0.3, 0.2, 0.35, 0.3, 0.3, 0.2, 0.1]
    whole = shares(values, Plateau(0.5, 2))
    first = Plateau(0.5, 2)
    head = shares(values[:4], first)
    again = Plateau(0.5, 2)
    again.restore(first.state())
    assert head + shares(values[4:], again) == whole
