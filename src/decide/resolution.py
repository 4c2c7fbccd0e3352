"""What difference of mAP50-95 a study can resolve, said before anything is trained.

A cheaper model that is truly as good as the best must be shown to be at most `decision.margin` worse. The bound that
shows it lies a half-width above the difference that is seen, and the difference that is seen varies around the true
one. So a study finds an equal model in `POWER` of its repetitions when the margin is at least the half-width plus the
distance that chance exceeds in the rest of them: this sum is what the study resolves (sample sizes for non-inferiority:
Julious, "Sample sizes for clinical trials with normal data", Stat. Med. 23, 2004). Variances, their moderation over
configurations and the shared level are those of the decision itself (`spread`, `uncertainty`, `bounds`, `looks`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from src.common.statistics import satterthwaite, t_quantile, t_upper
from src.decide.bounds import shared_level
from src.decide.looks import level_at
from src.decide.spread import PRIOR_FREEDOM, WEIGHT

POWER = 0.8  # share of studies that find a model that is as good, when the margin is what is resolved
MOST_SEEDS = 64


@dataclass(frozen=True)
class Noise:
    """What is known beforehand of how scores vary."""

    seed_sd: float  # of one training's mAP50-95 over seeds
    images_sd: float  # of the difference of two models over other val splits of this size
    images_freedom: float  # of `images_sd`; infinite where it is stated
    stated: bool = False  # whether the decision will use `seed_sd` where no configuration has two seeds


@dataclass(frozen=True)
class Design:
    """A study as the decision will see it."""

    configurations: int  # that are compared in the end
    seeds: int  # of each of them
    margin: float
    confidence: float
    looks: bool = False  # `study.until=decided`: the evidence is looked at again and again


@dataclass(frozen=True)
class Resolution:
    """What a design resolves."""

    resolvable: float  # smallest margin at which an equal model is found in `POWER` of studies
    power: float  # share of studies that find an equal model at the margin asked for
    seeds_needed: int | None  # of each configuration, for `POWER` at that margin; None when seeds can't do it


def resolution(design: Design, noise: Noise) -> Resolution:
    """What a study resolves, and how many seeds would resolve its margin."""
    resolvable, power = _resolved(design, noise)
    needed = (n for n in range(2, MOST_SEEDS + 1) if _resolved(replace(design, seeds=n), noise)[0] <= design.margin)
    return Resolution(resolvable, power, next(needed, None))


def _resolved(design: Design, noise: Noise) -> tuple[float, float]:
    """What is resolved, and the power at the margin."""
    freedom = seed_freedom(design, noise)
    if not freedom:
        return math.inf, 0.0
    seeds = 2 * noise.seed_sd**2 / design.seeds
    total, overall = satterthwaite([(seeds, freedom), (noise.images_sd**2, noise.images_freedom)])
    se = math.sqrt(total)
    if not se:
        return 0.0, 1.0
    half_width = t_quantile(level_of(design), overall) * se
    return half_width + t_quantile(POWER, overall) * se, t_upper((half_width - design.margin) / se, overall)


def level_of(design: Design) -> float:
    """The confidence of each single comparison; with looks, that of the last one."""
    confidence = level_at(design.confidence, 1.0) if design.looks else design.confidence
    return shared_level(confidence, design.configurations - 1)


def seed_freedom(design: Design, noise: Noise) -> float:
    """Degrees of freedom that the spread over seeds will have, as `spread.moderated` counts them; 0 when none."""
    own = design.seeds - 1
    if own < 1:
        return PRIOR_FREEDOM if noise.stated else 0.0
    return min(WEIGHT + own, float(own * max(1, design.configurations)))
