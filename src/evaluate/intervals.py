"""Intervals of mAP over images that hold the truth as often as they say, with rare classes and images in bursts too.

Three things make plain resampling too sure of itself, and each has its remedy here:

* A class that few images hold varies more than its few images show. Its variance is moderated by that of the other
  classes (Smyth 2004), and the degrees of freedom follow from every class's own (Satterthwaite 1946). A class's images
  count for what they are worth: (sum of its objects)² / sum of squares over groups, so that six objects in one picture
  are one piece of evidence.
* Images of one video or site are drawn together, and the groups are counted, not the images.
* mAP of few images is too high on average, since precision is made monotone. Resamples show part of this bias once
  more (Efron and Tibshirani 1993, 10.2), but only a part: two fifths in simulations, less of few groups. The interval
  is moved by what they show times a factor, and since the factor is a rule, the move counts as an error too.

Where too many classes are held by fewer than three groups, nothing in the split says how much they vary; then no
interval is claimed, and the reason is given instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from src.common.small_splits import bias_of
from src.common.statistics import CONFIDENCE, t_quantile
from src.evaluate.matching import Floats, Ints, Matches

FEWEST = 3  # groups of images below which a class's variation is unknown
UNKNOWN_SHARE = 0.1  # of the classes: so many may be unknown, and are taken to vary as the others do
PRIOR = 4.0  # degrees of freedom that the variance of the other classes counts for


@dataclass(frozen=True)
class Interval:
    """A figure with its standard error over images and 95 % interval; the bounds are NaN where none is claimed."""

    value: float
    se: float
    low: float
    high: float
    freedom: float = math.nan  # degrees of freedom of `se`
    note: str = ""  # why there is no interval


@dataclass(frozen=True)
class Evidence:
    """How much independent evidence a split holds."""

    n_groups: int  # groups of images that are drawn together
    holding: Ints  # [n_classes] groups that hold the class
    effective: Floats  # [n_classes] how many groups of equal size they are worth

    @property
    def present(self) -> Ints:
        """The classes that the split holds."""
        return np.flatnonzero(self.holding)

    def lacking(self, names: Sequence[str] | None = None) -> str:
        """Why no interval can be claimed; empty where one can."""
        if self.n_groups < FEWEST:
            return f"the images are only {self.n_groups} independent groups"
        unknown = self.present[self.holding[self.present] < FEWEST]
        if len(unknown) <= UNKNOWN_SHARE * len(self.present):
            return ""
        said = ", ".join(names[c] if names else f"class {c}" for c in unknown[:3])
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        return f"fewer than {FEWEST} independent images hold {said}{more}"


def evidence(matches: Matches, groups: Ints | None = None) -> Evidence:
    """The evidence of a split.

    Args:
        matches: cached matches.
        groups: [n_images] as for `image_weights`; None: every image by itself.
    """
    names, member = np.unique(np.arange(matches.n_images) if groups is None else groups, return_inverse=True)
    counts = np.zeros((len(names), matches.n_classes))
    np.add.at(counts, (member[matches.ground_truths.images], matches.ground_truths.classes), 1)
    squares = (counts**2).sum(axis=0)
    effective = np.divide(counts.sum(axis=0) ** 2, squares, out=np.zeros_like(squares), where=squares > 0)
    return Evidence(len(names), (counts > 0).sum(axis=0), effective)


def interval(value: float, by_class: Floats, found: Evidence, names: Sequence[str] | None = None) -> Interval:
    """95 % interval of an mAP from its resamples.

    Args:
        value: mAP of the split as it is.
        by_class: [n, n_classes] AP of every class in every resample, of `resample_classes`.
        found: the evidence of the same split.
        names: of the classes, for the note.
    """
    table = by_class[:, found.present]
    if not table.size or len(table) < 2 or found.n_groups < 2 or not np.isfinite(table).any(axis=0).all():
        reason = "too few resamples" if len(found.present) else "no object to find"
        return Interval(value, math.nan, math.nan, math.nan, note=found.lacking(names) or reason)
    # A resample without any image of a class says nothing of it: the mean over the others would jump for no reason.
    table = np.where(np.isfinite(table), table, np.nanmean(table, axis=0))
    samples = table.mean(axis=1)
    variance, freedom = _variance(samples, table, found)
    se, bias = math.sqrt(variance), bias_of(float(samples.mean()) - value, found.n_groups)
    if note := found.lacking(names):
        return Interval(value, se, math.nan, math.nan, freedom, note)
    half = t_quantile(0.5 + CONFIDENCE / 2, freedom) * math.hypot(se, bias)
    centre = value - bias
    return Interval(value, se, min(1.0, max(0.0, centre - half)), max(0.0, min(1.0, centre + half)), freedom)


def _variance(samples: Floats, table: Floats, found: Evidence) -> tuple[float, float]:
    """Variance of an mAP over images, and its degrees of freedom.

    Args:
        samples: [n] mAP of every resample.
        table: [n, k] AP of the classes that are present.
        found: the evidence of the split.
    """
    holding, n, k = found.holding[found.present], found.n_groups, table.shape[1]
    worth = np.maximum(found.effective[found.present], 1.5)
    own_freedom = np.maximum(worth - 1, 0.5)
    raw = table.var(axis=0, ddof=1)
    per_group = raw * worth * holding / np.maximum(holding - 1, 1)
    usual = float((per_group * own_freedom).sum() / own_freedom.sum())
    moderated = (PRIOR * usual + own_freedom * per_group) / (PRIOR + own_freedom) / worth
    plain = float(samples.var(ddof=1)) * n / (n - 1)
    shared = plain - float(raw.sum()) / k**2 * n / (n - 1)  # what classes vary together, as they share images
    total = max(plain, float(moderated.sum()) / k**2 + shared)
    noise = float(((moderated / k**2) ** 2 / own_freedom).sum())
    freedom = total**2 / noise if noise > 0 else n - 1
    return total, float(min(n - 1, max(1.0, freedom)))
