"""Two files on the same images: the paired difference of their mAP50-95, for `test` and for promotion."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from src.common.statistics import CONFIDENCE, t_quantile
from src.decide.candidates import MAP, pairing_of
from src.decide.uncertainty import Gap, few, variance
from src.records.schema import EvaluationRecord


def paired_gap(a: EvaluationRecord | None, b: EvaluationRecord | None) -> Gap | None:
    """mAP50-95 of `a` less that of `b` over images; None when they were not judged on the same ones.

    The files are taken as they are: how other seeds would have turned out is no part of it.
    """
    if a is None or b is None or a.n_images < 2 or pairing_of(a) != pairing_of(b):
        return None
    gaps = np.subtract(a.resamples, b.resamples)
    if np.isfinite(gaps).sum() < 2:
        return None
    freedom = freedom_of(a, b)
    se = math.sqrt(variance(gaps) * few(freedom))
    return Gap(a.figures[MAP] - b.figures[MAP], se, freedom, "images")


def freedom_of(*records: EvaluationRecord) -> float:
    """Degrees of freedom of what the records' images say: images, or groups of them, less one."""
    return max(1.0, min(r.freedom if math.isfinite(r.freedom) else r.n_images - 1.0 for r in records))


def smallest_difference(a: EvaluationRecord, others: Sequence[EvaluationRecord]) -> float:
    """The smallest difference in mAP50-95 that the split of `a` resolves: the median half width over comparisons.

    Without another model to compare with, two models are taken as independent. NaN where no resample differs, as when
    nothing was found in any image: that tells no noise, and not that there is none.
    """
    errors = sorted(g.se for o in others if (g := paired_gap(a, o)) and g.se > 0)
    alone = a.standard_errors.get(MAP, math.nan) * math.sqrt(2)
    error = errors[len(errors) // 2] if errors else alone
    return t_quantile(0.5 + CONFIDENCE / 2, freedom_of(a)) * error if error > 0 else math.nan
