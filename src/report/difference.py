"""Is one candidate really better than another? Differences with their uncertainty, and Holm's correction.

Two kinds of noise enter. Training noise is the spread over seeds; two or three say little about one configuration,
so the spread is pooled over all of them (taken as equal). The choice of images enters through resamples of the val
split, which all artifacts share, so that their differences are paired. Candidates of one configuration share their
training, and only the images tell them apart; without resamples their difference is held against the loss that the
decision tolerates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from src.common.statistics import CONFIDENCE, pooled_sd, t_quantile, t_two_sided
from src.records import EvaluationRecord
from src.report.candidates import Candidate
from src.report.configurations import Configuration

Method = Literal["seeds", "images", "seeds and images", "tolerance", "not established"]


@dataclass(frozen=True)
class Noise:
    """What is known about the spread of scores within one sweep."""

    seed_sd: float  # pooled over configurations; NaN when no configuration has two seeds
    freedom: int
    tolerance: float  # share of mAP that may be lost by export


@dataclass(frozen=True)
class Difference:
    """Score of a first candidate less that of a second, with its 95 % interval and two-sided p value."""

    delta: float
    low: float
    high: float
    p: float
    method: Method

    @property
    def separated(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


def noise_of(found: Sequence[Configuration], tolerance: float) -> Noise:
    """The noise of a sweep from its replicates."""
    sd, freedom = pooled_sd([c.scores for c in found])
    return Noise(sd, freedom, tolerance)


def difference(a: Candidate, b: Candidate, noise: Noise) -> Difference:
    """The difference in score between two candidates."""
    delta = a.score.mean - b.score.mean
    images = paired_error(a.best.val_depth, b.best.val_depth)
    if a.configuration.config_id == b.configuration.config_id:
        if images is None:
            return _tolerated(delta, noise.tolerance * max(a.configuration.spread.mean, 0.0))
        return _from_error(delta, images, _images(a) - 1, "images")
    seeds = noise.seed_sd * math.sqrt(1 / a.score.n + 1 / b.score.n) if noise.freedom else None
    if seeds is None and images is None:
        return Difference(delta, delta, delta, 1.0 if delta == 0 else 0.0, "not established")
    if seeds is None or images is None:
        freedom = noise.freedom if images is None else _images(a) - 1
        return _from_error(delta, (seeds or 0.0) + (images or 0.0), freedom, "seeds" if images is None else "images")
    return _from_error(delta, *_combined((seeds, noise.freedom), (images, _images(a) - 1)), "seeds and images")


def _images(c: Candidate) -> int:
    return c.best.val_depth.n_images if c.best.val_depth else 0


def _combined(*parts: tuple[float, float]) -> tuple[float, float]:
    """Standard errors with their degrees of freedom, added up by Welch and Satterthwaite."""
    total = math.fsum(error**2 for error, _ in parts)
    if total == 0:
        return 0.0, 1.0
    return math.sqrt(total), total**2 / math.fsum(error**4 / freedom for error, freedom in parts)


def paired_error(a: EvaluationRecord | None, b: EvaluationRecord | None) -> float | None:
    """Standard error, over images, of the difference in mAP50-95; None when the resamples are not paired."""
    if a is None or b is None or a.n_images < 2:
        return None
    if (a.dataset_fingerprint, a.split, a.resample_seed) != (b.dataset_fingerprint, b.split, b.resample_seed):
        return None
    if len(a.resamples) != len(b.resamples):
        return None
    gaps = np.subtract(a.resamples, b.resamples)
    gaps = gaps[np.isfinite(gaps)]
    return float(gaps.std(ddof=1)) * math.sqrt(a.n_images / (a.n_images - 1)) if len(gaps) > 1 else None


def _tolerated(delta: float, margin: float) -> Difference:
    margin = max(margin, 1e-12)  # a rounding error must not separate an artifact from its equal
    return Difference(delta, delta - margin, delta + margin, 1.0 if abs(delta) <= margin else 0.0, "tolerance")


def _from_error(delta: float, error: float, freedom: float, method: Method) -> Difference:
    if error == 0:
        return Difference(delta, delta, delta, 1.0 if abs(delta) < 1e-12 else 0.0, method)
    half = t_quantile(0.5 + CONFIDENCE / 2, freedom) * error
    return Difference(delta, delta - half, delta + half, t_two_sided(delta / error, freedom), method)


def smallest_difference(a: EvaluationRecord, others: Sequence[EvaluationRecord]) -> float:
    """The smallest difference in mAP50-95 that the split of `a` resolves: the median half width over comparisons.

    Without another model to compare with, two models are taken as independent.
    """
    errors = sorted(e for o in others if (e := paired_error(a, o)))
    alone = a.standard_errors.get("mAP50-95", math.nan) * math.sqrt(2)
    error = errors[len(errors) // 2] if errors else alone
    return t_quantile(0.5 + CONFIDENCE / 2, max(1, a.n_images - 1)) * error


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment of p values for as many comparisons as there are values (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted
