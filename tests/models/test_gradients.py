"""Gradients in good and in bad health, on networks of a few numbers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from src.models.gradients import LARGEST, NORM, REACH, Gradients, complaints


def layers(sizes: list[float]) -> list[nn.Parameter]:
    """Parameters [2, 2] with a gradient of which every element is the given one."""
    made = [nn.Parameter(torch.zeros(2, 2)) for _ in sizes]
    for parameter, size in zip(made, sizes, strict=True):
        parameter.grad = torch.full((2, 2), float(size))
    return made


def test_an_epoch_tells_mean_and_largest_length_and_how_far_gradients_reach() -> None:
    gradients = Gradients()
    gradients.look(layers([1.0, 0, 0, 0]))
    gradients.look(layers([2.0, 0, 0, 4.0]), scale=2.0)
    row = gradients.row()
    lengths = [2.0, math.sqrt(4 * (1 + 4))]
    assert row[NORM] == pytest.approx(sum(lengths) / 2)
    assert row[LARGEST] == pytest.approx(max(lengths))
    assert row[REACH] == pytest.approx(math.sqrt((1 + 1) / (0 + 4)))
    assert gradients.row() == {}, "every epoch begins anew"


def test_looking_changes_nothing() -> None:
    parameters = layers([1.0, 2.0])
    Gradients().look(parameters)
    assert [float(p.grad.sum()) for p in parameters if p.grad is not None] == [4.0, 8.0]


@pytest.mark.parametrize(
    ("row", "earlier", "kinds"),
    [
        ({NORM: 30.0, LARGEST: 40.0, REACH: 0.5}, [30.0, 40.0], []),
        ({NORM: 5000.0, LARGEST: 9000.0, REACH: 0.5}, [30.0, 40.0], ["explode"]),
        ({NORM: 5000.0, LARGEST: 9000.0, REACH: 0.5}, [], []),
        ({NORM: 5.0, LARGEST: 6.0, REACH: 0.5}, [0.01], []),
        ({NORM: math.inf, LARGEST: math.inf, REACH: 0.5}, [], ["explode"]),
        ({NORM: 30.0, LARGEST: 40.0, REACH: 1e-6}, [], ["vanish"]),
        ({NORM: 1e-9, LARGEST: 1e-9, REACH: 0.5}, [1.0], ["vanish"]),
        ({}, [], []),
    ],
)
def test_what_is_out_of_order_is_said(row: dict[str, float], earlier: list[float], kinds: list[str]) -> None:
    found = complaints(row, [{NORM: norm} for norm in earlier])
    assert list(found) == kinds
    assert all("try" in text for text in found.values())
