"""Does the 95 % interval hold the truth 95 times out of 100? Simulations against very large splits."""

from __future__ import annotations

import pytest

from benchmarks._worlds import BURSTS, EVEN, GOOD, RARE, RARE_GOOD, World
from benchmarks.decision_coverage import coverage

RUNS = {20: 300, 60: 200, 200: 100}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("world", "n_images", "least", "widest"),
    [
        (EVEN, 20, 0.93, 0.30),
        (EVEN, 60, 0.93, 0.16),
        (EVEN, 200, 0.93, 0.09),
        (GOOD, 60, 0.93, 0.10),
        (RARE, 20, 0.90, 0.40),
        (RARE, 60, 0.90, 0.25),
        (RARE_GOOD, 60, 0.90, 0.23),
        (BURSTS, 60, 0.90, 0.52),
        (BURSTS, 200, 0.90, 0.25),
    ],
)
def test_coverage_of_the_interval(world: World, n_images: int, least: float, widest: float) -> None:
    got = coverage(world, n_images, RUNS[n_images])
    assert got.share >= least, got
    # An interval that holds everything says nothing: at most a third wider than the spread of such splits.
    assert got.width <= widest, got


@pytest.mark.slow
def test_bursts_need_their_groups() -> None:
    assert coverage(BURSTS, 60, 100, grouped=False).share < 0.8


@pytest.mark.slow
def test_where_a_class_is_too_rare_no_interval_is_claimed() -> None:
    got = coverage(RARE, 20, 100)
    assert 0.3 < got.claimed / got.runs < 0.8
