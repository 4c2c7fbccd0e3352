"""Bounds on what a model may be worse than the best, held against worlds whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks import _four_networks as quality
from src.decide.bounds import deficits, shared_level
from src.decide.spread import SeedSpread, moderated
from src.decide.uncertainty import Effect, Model, Resampled, gap, image_component, mean_interval


def model(name: str, score: float, sd: float, n: int = 5, freedom: float = 16, effect: Effect | None = None) -> Model:
    spread = SeedSpread(n, sd, freedom, False, "seeds")
    return Model(name, score, spread, None, effect or Effect(0.0, None))


def test_the_bound_by_hand() -> None:
    from scipy.stats import t

    models = [model("a", 0.79, 0.01), model("b", 0.80, 0.01), model("c", 0.70, 0.01)]
    level = shared_level(0.95, 2)
    found = deficits(models, 0.01, level)
    half = float(t.ppf(math.sqrt(0.95), 16)) * math.sqrt(2 * 0.01**2 / 5)
    assert found[0].rival == 1
    assert (found[0].low, found[0].high) == pytest.approx((0.01 - half, 0.01 + half))
    assert [d.status for d in found] == ["open", "within", "worse"] if half < 0.02 else ["open", "open", "worse"]


def test_a_rival_that_is_merely_noisy_keeps_others_from_being_sure() -> None:
    sure = deficits([model("a", 0.80, 0.001), model("b", 0.80, 0.001)], 0.01, 0.95)
    noisy = deficits([model("a", 0.80, 0.001), model("b", 0.80, 0.001), model("c", 0.79, 0.2)], 0.01, 0.95)
    assert sure[0].status == "within"
    assert noisy[0].status == "open"
    assert noisy[0].rival == 2


def test_nothing_known_of_the_seeds_decides_nothing() -> None:
    unknown = moderated([[0.8], [0.7]])
    models = [Model(str(i), s, spread, None) for i, (s, spread) in enumerate(zip((0.8, 0.7), unknown, strict=True))]
    assert [d.status for d in deficits(models, 0.01, 0.95)] == ["open", "open"]
    assert all(math.isnan(x) for x in mean_interval(models[0]))


def test_an_artifact_is_held_against_its_own_checkpoint_on_the_same_images() -> None:
    rng = np.random.default_rng(0)
    plain = model("a", 0.80, 0.05)
    lossy = model("a", 0.796, 0.05, effect=Effect(-0.004, -0.004 + rng.normal(0, 0.001, 500)))
    found = gap(plain, lossy)
    assert found.method == "images"
    assert found.se == pytest.approx(0.001, rel=0.15, abs=5e-4)  # the spread over seeds, 0.05, is no part of it
    unknown = gap(plain, model("a", 0.79, 0.05, effect=Effect(-0.01, None)))
    assert unknown.method == "not established"


def test_paired_images_cancel() -> None:
    rng = np.random.default_rng(1)
    shared, own = rng.normal(0, 0.03, 400), rng.normal(0, 0.002, (2, 400))
    spread = SeedSpread(1, 0.001, 100, False, "prior")
    parts = [image_component([Resampled(("val",), 0.8 + shared + own[i], 99.0)]) for i in range(2)]
    a, b = (Model(str(i), 0.8, spread, part) for i, part in enumerate(parts))
    assert gap(a, b).se < 0.004
    other = Model("1", 0.8, spread, image_component([Resampled(("another val",), 0.8 + shared, 99.0)]))
    assert gap(a, other).method == "seeds"  # not the same images: they say nothing of the difference


def test_what_seeds_and_images_do_together_is_counted_once() -> None:
    """Variance of a mean over seeds and images, against the truth of a simulated world."""
    w = quality.world((0.8, 0.8), 100, 3, 0.01)
    rng = np.random.default_rng(2)
    weights = quality.image_weights(w.images, rng)
    deltas, variances = [], []
    for _ in range(300):
        a, b = quality.draw(w, weights, rng).models
        deltas.append(a.score - b.score)
        variances.append(gap(a, b).se ** 2)
    ground_truth = 2 * 0.01**2 / 3 + 2 * quality.OWN_SD**2 / 100 + 2 * quality.INTERACTION_SD**2 / 300
    assert np.var(deltas) == pytest.approx(ground_truth, rel=0.25)
    assert ground_truth < np.mean(variances) < 1.6 * ground_truth  # drawn upwards, never below


@pytest.mark.parametrize(("images", "seeds"), [(60, 2), (200, 3)])
def test_a_worse_model_ships_in_at_most_a_few_of_a_hundred_sweeps(images: int, seeds: int) -> None:
    ours, plain = quality.losses(quality.world(quality.FOUR, images, seeds, 0.02), 150)
    assert (ours > 0.02).mean() <= max(0.04, (plain > 0.02).mean() + 0.02)


def test_equal_models_are_seldom_called_different() -> None:
    rng = np.random.default_rng(4)
    w = quality.world((0.8,) * 4, 100, 2, 0.02)
    weights = quality.image_weights(w.images, rng)
    called = []
    for _ in range(200):
        models = quality.draw(w, weights, rng).models
        low, high = gap(models[0], models[1]).bounds(0.975)
        called.append(low > 0 or high < 0)
    assert np.mean(called) <= 0.09  # 5 % and three standard errors of 200 sweeps


def test_a_mean_covers_seeds_and_images_and_stays_an_map() -> None:
    rng = np.random.default_rng(5)
    w = quality.world((0.8,) * 4, 60, 2, 0.02)
    weights = quality.image_weights(w.images, rng)
    held = [
        low <= 0.8 <= high for _ in range(100) for low, high in map(mean_interval, quality.draw(w, weights, rng).models)
    ]
    assert np.mean(held) >= 0.90
    low, high = mean_interval(model("a", 0.97, 0.3, n=2, freedom=1))
    assert (low, high) == (0.0, 1.0)
