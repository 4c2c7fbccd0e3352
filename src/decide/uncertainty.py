"""One model of uncertainty behind every accuracy that is compared or printed: seeds x images, as random effects.

A score is mAP50-95 on val, averaged over the seeds of a configuration. Another training would have used other seeds,
and another val split would have held other images; both count (two crossed random effects: Owen, "The pigeonhole
bootstrap", Ann. Appl. Stat. 1, 2007). The spread over seeds is moderated over configurations (`src.decide.spread`). The
share of the images comes from resamples of the saved detections, one set of image weights for all trainings, so that
differences are paired. What seeds and images do together is in both parts; it is estimated and taken out once.

An exported artifact adds its own part: what it gained or lost against its checkpoint on the same images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from src.common.statistics import satterthwaite, t_quantile
from src.decide.spread import SeedSpread

Floats = NDArray[np.float64]
Method = Literal["seeds and images", "seeds", "images", "not established"]


@dataclass(frozen=True)
class Resampled:
    """mAP50-95 of one training under resampled images, with what makes two of them comparable."""

    pairing: tuple[object, ...]  # dataset, split, seed of the weights: equal for paired resamples
    values: Floats  # [resamples]
    freedom: float  # of the variance over images
    bias: float = 0.0  # how much too high the mAP of so few images is


@dataclass(frozen=True)
class ImageComponent:
    """What the choice of images does to the mean over one configuration's seeds."""

    pairing: tuple[object, ...]
    mean: Floats  # [resamples], mean over its seeds
    interaction: float  # variance that seeds and images make together, of that mean
    freedom: float
    bias: float = 0.0  # how much too high the mAP of so few images is


@dataclass(frozen=True)
class Effect:
    """mAP50-95 of an artifact less that of its checkpoint, on the same images."""

    value: float
    resamples: Floats | None  # of the difference; None when it can't be resampled

    @property
    def variance(self) -> float:
        """Over images; 0 where nothing differs, infinite where a difference can't be resampled."""
        if abs(self.value) < SAME:
            return 0.0
        return math.inf if self.resamples is None else variance(self.resamples)


SAME = 1e-4  # differences of mAP50-95 below it are rounding, not another model
NO_EFFECT = Effect(0.0, None)


@dataclass(frozen=True)
class Model:
    """An artifact of a configuration, as the comparison sees it."""

    config_id: str
    score: float  # mean over seeds plus the artifact's effect
    seeds: SeedSpread
    images: ImageComponent | None
    effect: Effect = NO_EFFECT


@dataclass(frozen=True)
class Gap:
    """Score of one model less that of another, with its standard error."""

    delta: float
    se: float  # infinite when not established
    freedom: float
    method: Method

    def bounds(self, level: float) -> tuple[float, float]:
        """Lower and upper bound, each one-sided at confidence `level`."""
        if not math.isfinite(self.se):
            return -math.inf, math.inf
        half = t_quantile(level, self.freedom) * self.se if self.se else 0.0
        return self.delta - half, self.delta + half


def variance(values: Floats) -> float:
    """Sample variance of what is finite; 0 of fewer than two."""
    known = values[np.isfinite(values)]
    return float(known.var(ddof=1)) if len(known) > 1 else 0.0


def image_component(trainings: Sequence[Resampled | None]) -> ImageComponent | None:
    """The image part of a configuration from its seeds' resamples; None when they are missing or not paired."""
    known = [t for t in trainings if t is not None]
    if not known or len({t.pairing for t in known}) != 1 or len({len(t.values) for t in known}) != 1:
        return None
    table = np.stack([t.values for t in known])
    mean = table.mean(axis=0)
    # Within seeds: images + interaction. Of the mean: images + interaction / n. Their difference gives the interaction.
    n = len(known)
    together = 0.0
    if n > 1:
        single = math.fsum(variance(row) for row in table) / n
        together = max(0.0, (single - variance(mean)) / (n - 1))
    bias = math.fsum(t.bias for t in known) / n
    return ImageComponent(known[0].pairing, mean, together, min(t.freedom for t in known), bias)


def gap(a: Model, b: Model) -> Gap:
    """Score of `a` less that of `b`. Artifacts of one configuration share their training; only images part them."""
    delta = a.score - b.score
    if a.config_id == b.config_id:
        return _within(a, b, delta)
    if not (a.seeds.known and b.seeds.known):
        return Gap(delta, math.inf, 1.0, "not established")
    # Moderated variances have the common one in them, so two of them have no more freedom than the lesser.
    both = a.seeds.variance_of_mean + b.seeds.variance_of_mean
    parts = [(both, min(a.seeds.freedom, b.seeds.freedom))]
    images = _paired(a, b)
    if images is not None:
        parts.append(images)
    parts += [(m.effect.variance, _freedom(m)) for m in (a, b)]
    if any(math.isinf(v) for v, _ in parts):
        return Gap(delta, math.inf, 1.0, "not established")
    total, freedom = satterthwaite(parts)
    return Gap(delta, math.sqrt(total), freedom, "seeds" if images is None else "seeds and images")


def _freedom(m: Model) -> float:
    return max(1.0, m.images.freedom) if m.images else 1.0


def _within(a: Model, b: Model, delta: float) -> Gap:
    if abs(delta) < SAME:
        return Gap(delta, 0.0, math.inf, "images")
    first, second = a.effect.resamples, b.effect.resamples
    if first is None and second is None:
        return Gap(delta, math.inf, 1.0, "not established")
    one = first if first is not None else np.zeros_like(second)
    two = second if second is not None else np.zeros_like(first)
    if one.shape != two.shape:
        return Gap(delta, math.inf, 1.0, "not established")
    return Gap(delta, math.sqrt(variance(one - two) * few(_freedom(a))), _freedom(a), "images")


def _paired(a: Model, b: Model) -> tuple[float, float] | None:
    """Variance over images of the difference of two means, and its freedom; None when nothing is resampled."""
    if a.images is None or b.images is None or a.images.pairing != b.images.pairing:
        return None
    if a.images.mean.shape != b.images.mean.shape:
        return None
    freedom = min(a.images.freedom, b.images.freedom)
    found = variance(a.images.mean - b.images.mean) * few(freedom)
    # The seeds' spread was seen on these images, so it holds the interaction already.
    return max(0.0, found - a.images.interaction - b.images.interaction), freedom


def few(freedom: float) -> float:
    """Resamples of n images show (n - 1) / n of the variance; this makes up for it."""
    return (freedom + 1) / freedom if freedom > 0 else 1.0


def mean_interval(m: Model, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided interval of a configuration's mAP50-95 over other seeds and other images, within [0, 1].

    mAP of few images is too high on average (`src.common.small_splits`): the interval is moved by as much, and since
    that is a rule of thumb, the move counts as an error too. NaN where the spread over seeds is not established.
    """
    if not m.seeds.known:
        return math.nan, math.nan
    parts = [(m.seeds.variance_of_mean, m.seeds.freedom)]
    centre = m.score
    if m.images is not None:
        found = variance(m.images.mean) * few(m.images.freedom)
        parts.append((max(0.0, found - m.images.interaction), m.images.freedom))
        parts.append((m.images.bias**2, m.images.freedom))
        centre -= m.images.bias
    if math.isfinite(m.effect.variance):
        parts.append((m.effect.variance, _freedom(m)))
    total, freedom = satterthwaite(parts)
    half = t_quantile(0.5 + confidence / 2, max(freedom, 1.0)) * math.sqrt(total)
    return max(0.0, centre - half), min(1.0, centre + half)


def by_configuration(
    scores: Mapping[str, Sequence[float]],
    resamples: Mapping[str, Sequence[Resampled | None]],
    spreads: Mapping[str, SeedSpread],
) -> dict[str, Model]:
    """Every configuration as its checkpoint, without an artifact's effect."""
    return {
        key: Model(key, math.fsum(values) / len(values), spreads[key], image_component(resamples.get(key, [])))
        for key, values in scores.items()
        if values
    }
