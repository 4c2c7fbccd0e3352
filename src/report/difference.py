"""Is one candidate really better than another? Differences with their uncertainty, and Holm's correction.

Training noise enters as the spread over seeds. Two or three seeds say little about the spread of one configuration, so
the spread is pooled over all of them (taken as equal). Candidates of one configuration share their training, so
only the artifact's own loss tells them apart; that is held against the loss that the decision tolerates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from src.report.candidates import Candidate
from src.report.configurations import Configuration
from src.report.stats import CONFIDENCE, pooled_sd, t_quantile, t_two_sided

Method = Literal["seeds", "tolerance", "images", "seeds and images", "not established"]


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
    if a.configuration.config_id == b.configuration.config_id:
        margin = noise.tolerance * max(a.configuration.spread.mean, 0.0)
        # A rounding error must not separate an artifact from its equal.
        margin = max(margin, 1e-12)
        return Difference(delta, delta - margin, delta + margin, 1.0 if abs(delta) <= margin else 0.0, "tolerance")
    if not noise.freedom:
        return Difference(delta, delta, delta, 1.0 if delta == 0 else 0.0, "not established")
    error = noise.seed_sd * math.sqrt(1 / a.score.n + 1 / b.score.n)
    return _from_error(delta, error, noise.freedom, "seeds")


def _from_error(delta: float, error: float, freedom: float, method: Method) -> Difference:
    if error == 0:
        return Difference(delta, delta, delta, 1.0 if delta == 0 else 0.0, method)
    half = t_quantile(0.5 + CONFIDENCE / 2, freedom) * error
    return Difference(delta, delta - half, delta + half, t_two_sided(delta / error, freedom), method)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment of p values for as many comparisons as there are values (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted
