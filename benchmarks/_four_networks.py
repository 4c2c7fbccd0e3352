"""Worlds of four networks whose truth is known, and what the product's own rule picks in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.decide.bounds import deficits, shared_level
from src.decide.spread import moderated
from src.decide.uncertainty import Model, Resampled, image_component

Floats = NDArray[np.float64]
MARGIN, CONFIDENCE = 0.01, 0.95
TINY = 1e-9  # a difference of exactly 0.05 is not more than 0.05
RESAMPLES = 200
# Per image, as the saved detections of a digits sweep show (resamples of eight trainings of four configurations):
IMAGE_SD, OWN_SD = 0.05, 0.03  # shared by all networks, and each network's own
INTERACTION_SD = 0.045  # what a seed does to single images
FOUR = (0.70, 0.725, 0.75, 0.80)  # the dearest is the best
EQUAL = (0.80, 0.725, 0.75, 0.80)  # the cheapest is as good as the dearest
SPEED = (1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class World:
    """What is true, and how much of it a sweep sees."""

    means: tuple[float, ...]  # true mAP50-95, from the cheapest to the dearest
    images: int
    seeds: int
    seed_sd: tuple[float, ...]  # by network


@dataclass(frozen=True)
class Sweep:
    """What a sweep saw: scores by network, and their models with uncertainty."""

    scores: list[list[float]]
    models: list[Model]


def world(means: Sequence[float], images: int, seeds: int, sd: float | Sequence[float]) -> World:
    """A world with one spread for all, or one for each."""
    spread = (float(sd),) * len(means) if isinstance(sd, (int, float)) else tuple(sd)
    return World(tuple(means), images, seeds, spread)


def draw(w: World, weights: Floats, rng: np.random.Generator) -> Sweep:
    """One sweep in a world.

    Args:
        w: the world.
        weights: [resamples, images], how often each image is drawn, over their number.
        rng: source of chance.
    """
    shared = rng.normal(0, IMAGE_SD, w.images)
    scores, parts = [], []
    for mean, sd in zip(w.means, w.seed_sd, strict=True):
        own = shared + rng.normal(0, OWN_SD, w.images)
        luck = rng.normal(0, sd, (w.seeds, 1))
        table = mean + luck + own + rng.normal(0, INTERACTION_SD, (w.seeds, w.images))  # [seeds, images]
        scores.append([float(v) for v in table.mean(axis=1)])
        values = table @ weights.T
        parts.append(image_component([Resampled(("val",), row, w.images - 1.0) for row in values]))
    spreads = moderated(scores)
    models = [
        Model(str(i), float(np.mean(s)), spread, part)
        for i, (s, spread, part) in enumerate(zip(scores, spreads, parts, strict=True))
    ]
    return Sweep(scores, models)


def image_weights(images: int, rng: np.random.Generator) -> Floats:
    """[resamples, images] of a bootstrap, as shares."""
    return np.asarray(rng.multinomial(images, np.full(images, 1 / images), RESAMPLES) / images)


def recommended(models: Sequence[Model], margin: float = MARGIN, confidence: float = CONFIDENCE) -> int:
    """The position of what the rule picks; models stand from the cheapest to the dearest, clearly apart in latency."""
    judged = deficits(models, margin, shared_level(confidence, len(models) - 1))
    best = max(range(len(models)), key=lambda i: models[i].score)
    return min([best, *(i for i, d in enumerate(judged) if d.status == "within")])


def picks(w: World, sweeps: int, seed: int = 0) -> list[int]:
    """What is recommended in many sweeps of one world."""
    rng = np.random.default_rng(seed)
    weights = image_weights(w.images, rng)
    return [recommended(draw(w, weights, rng).models) for _ in range(sweeps)]


def loss(w: World, found: Iterable[int]) -> Floats:
    """How much worse than the best each pick truly is."""
    return np.asarray([max(w.means) - w.means[i] for i in found])


def losses(w: World, sweeps: int, seed: int = 1) -> tuple[Floats, Floats]:
    """True losses of the rule's picks, and of taking the best mean, on the same sweeps."""
    rng = np.random.default_rng(seed)
    weights = image_weights(w.images, rng)
    drawn = [draw(w, weights, rng).models for _ in range(sweeps)]
    best = [max(range(len(m)), key=lambda i, m=m: m[i].score) for m in drawn]  # type: ignore[misc]
    return loss(w, map(recommended, drawn)), loss(w, best)
