"""The variance of a difference of F1, against resampling and against the sums written out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from src.monitor.f1 import EXTRA, Counts, Labelled


def some(rng: np.random.Generator, images: int) -> np.ndarray:
    """Counts of two models on the same images [images, 2, 3]; their luck is partly shared."""
    objects = 1 + rng.poisson(3, images)
    hard = rng.beta(3, 1, images)
    right = np.stack([rng.binomial(objects, hard), rng.binomial(objects, 0.9 * hard)], 1)
    return np.stack([right, rng.poisson(0.5, (images, 2)), objects[:, None] - right], 2)


def f1(rows: np.ndarray) -> float:
    return float(2 * rows[..., 0].sum() / (2 * rows[..., 0] + rows[..., 1] + rows[..., 2]).sum())


def fill(rows: np.ndarray, paired: bool) -> Labelled:
    labelled = Labelled(paired)
    for i, (old, new) in enumerate(rows):
        one, other = Counts(*map(int, old)), Counts(*map(int, new))
        labelled.add(*((one, other) if paired else (one, None) if i % 2 else (None, other)))
    return labelled


def test_the_difference_is_that_of_the_pooled_counts() -> None:
    rows = some(np.random.default_rng(0), 300)
    assert fill(rows, True).difference(0.05).value == pytest.approx(f1(rows[:, 1]) - f1(rows[:, 0]))
    assert fill(rows, False).difference(0.05).value == pytest.approx(f1(rows[::2, 1]) - f1(rows[1::2, 0]))


@pytest.mark.parametrize("paired", [True, False])
def test_the_variance_is_that_of_repeated_samples(paired: bool) -> None:
    rng = np.random.default_rng(1)
    images = 400
    seen = [fill(some(rng, images), paired).difference(0.05).value for _ in range(400)]
    labelled = fill(some(rng, images), paired)
    own = labelled._paired() if paired else labelled._apart(images)
    assert own / images == pytest.approx(np.var(seen), rel=0.25)


def test_paired_variance_is_that_of_the_influences_written_out() -> None:
    rows = some(np.random.default_rng(2), 120).astype(float)
    a, d = 2 * rows[..., 0], 2 * rows[..., 0] + rows[..., 1] + rows[..., 2]
    f = a.sum(0) / d.sum(0)
    influence = (a - f * d) / d.mean(0)
    expected = (((influence[:, 1] - influence[:, 0]) ** 2).sum() + EXTRA**2) / 120
    assert fill(rows.astype(int), True)._paired() == pytest.approx(expected)


def test_nothing_is_claimed_of_few_images_or_of_none() -> None:
    rows = some(np.random.default_rng(0), 49)
    found = fill(rows, True).difference(0.05)
    assert (found.low, found.high, found.at_least, found.at_most) == (-math.inf, math.inf, -math.inf, math.inf)
    assert math.isnan(Labelled(False).difference(0.05).value)
    empty = Labelled(True)
    for _ in range(100):
        empty.add(Counts(0, 0, 0), Counts(0, 0, 0))
    assert empty.difference(0.05).at_least == -math.inf


def test_images_that_agree_are_no_proof_of_agreement() -> None:
    """50 images with equal answers: without the further image the interval would be a point."""
    labelled = Labelled(True)
    for _ in range(50):
        labelled.add(Counts(3, 0, 0), Counts(3, 0, 0))
    assert labelled.difference(0.05).at_least < -0.02
