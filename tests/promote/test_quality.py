"""The gates hold what they promise, on simulated test splits: a small copy of `benchmarks.promotion_quality`."""

from __future__ import annotations

import pytest

from benchmarks.promotion_quality import ROUGH, simulate


@pytest.mark.parametrize("images", [60, 100, 200])
def test_a_challenger_that_is_worse_seldom_passes(images: int) -> None:
    now = simulate([0.03], images, 100, noise=ROUGH).passed.mean()
    before = simulate([0.03], images, 100, noise=ROUGH, before=True).passed.mean()
    assert now <= 0.05 < before


def test_ten_small_steps_down_take_no_more_than_the_margin() -> None:
    now = simulate([0.01] * 10, 60, 40, noise=ROUGH).loss
    before = simulate([0.01] * 10, 60, 40, noise=ROUGH, before=True).loss
    assert now.mean() <= 0.01 < 0.05 < before.mean()


def test_an_equal_challenger_passes_where_the_images_suffice() -> None:
    assert simulate([0.0], 1000, 60).passed.mean() > 0.9
    assert simulate([0.0], 60, 60).passed.mean() < 0.5
