"""What a design resolves agrees with what the decision's own functions do on simulated studies."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from src.decide.bounds import deficits
from src.decide.resolution import POWER, Design, Noise, level_of, resolution
from src.decide.spread import moderated
from src.decide.uncertainty import ImageComponent, Model

DESIGN = Design(configurations=4, seeds=5, margin=0.01, confidence=0.95)
NOISE = Noise(seed_sd=0.006, images_sd=0.003, images_freedom=400)


def found_equal(design: Design, noise: Noise, margin: float, studies: int = 1500) -> float:
    """Share of simulated studies in which one given model of equally good ones is shown to be within the margin.

    Its rivals but one are far behind, as the reckoning has it: the bound is the one against the best.
    """
    rng = np.random.default_rng(5)
    own_sd = noise.images_sd / math.sqrt(2)
    hits = 0
    for _ in range(studies):
        true = np.array([0.8, 0.8] + [0.3] * (design.configurations - 2))
        groups = true[:, None] + rng.normal(0, noise.seed_sd, (design.configurations, design.seeds))
        drawn = rng.normal(0, own_sd, design.configurations)
        spreads = moderated([list(g) for g in groups])
        models = [
            Model(str(i), float(g.mean() + drawn[i]), spreads[i], images(rng, own_sd, noise.images_freedom))
            for i, g in enumerate(groups)
        ]
        hits += deficits(models, margin, level_of(design))[0].status == "within"
    return hits / studies


def images(rng: np.random.Generator, sd: float, freedom: float) -> ImageComponent:
    return ImageComponent(("same",), rng.normal(0, sd, 200), 0.0, freedom)


def test_at_the_margin_that_is_resolved_the_decision_finds_an_equal_model_as_often_as_said() -> None:
    found = resolution(DESIGN, NOISE)
    assert found_equal(DESIGN, NOISE, found.resolvable) == pytest.approx(POWER, abs=0.06)


def test_the_power_at_the_margin_asked_for_is_that_of_the_decision() -> None:
    assert found_equal(DESIGN, NOISE, DESIGN.margin) == pytest.approx(resolution(DESIGN, NOISE).power, abs=0.07)


def test_more_seeds_and_more_images_resolve_more() -> None:
    few = resolution(DESIGN, NOISE).resolvable
    assert resolution(replace(DESIGN, seeds=10), NOISE).resolvable < few
    assert resolution(DESIGN, replace(NOISE, images_sd=0.001)).resolvable < few
    assert resolution(replace(DESIGN, configurations=12), NOISE).resolvable > few - 0.002
    assert resolution(replace(DESIGN, looks=True), NOISE).resolvable > few


def test_the_seeds_said_to_be_needed_suffice_and_one_less_does_not() -> None:
    needed = resolution(DESIGN, NOISE).seeds_needed
    assert needed is not None
    assert resolution(replace(DESIGN, seeds=needed), NOISE).resolvable <= DESIGN.margin
    assert resolution(replace(DESIGN, seeds=needed - 1), NOISE).resolvable > DESIGN.margin


def test_seeds_do_not_make_up_for_missing_images() -> None:
    assert resolution(DESIGN, replace(NOISE, images_sd=0.02)).seeds_needed is None


def test_one_seed_establishes_nothing_unless_a_spread_is_stated() -> None:
    alone = replace(DESIGN, seeds=1)
    assert math.isinf(resolution(alone, NOISE).resolvable)
    assert resolution(alone, NOISE).power == 0
    assert math.isfinite(resolution(alone, replace(NOISE, stated=True)).resolvable)
