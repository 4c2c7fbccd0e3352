"""The difference of two models' F1 as a mean over images, by influence functions.

F1 = sum of 2 tp / sum of (2 tp + fp + fn), over the labelled images of a model. What one image does to it is
(2 tp - F1 (2 tp + fp + fn)) / mean of (2 tp + fp + fn). Sums of products are all that is kept: the variance of the
influences follows from them, whatever F1 has become by then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from src.monitor.sequence import FEWEST, half_width, one_sided

EXTRA = 1.0  # influence of the further image that every variance counts; see `src.monitor.sequence`


@dataclass(frozen=True)
class Counts:
    """One image of one model against its labels."""

    right: int  # true positives
    wrong: int  # false positives
    missed: int  # false negatives

    @property
    def pair(self) -> tuple[float, float]:
        """Numerator and denominator of F1."""
        return 2.0 * self.right, 2.0 * self.right + self.wrong + self.missed


@dataclass
class Sums:
    """Sums over the labelled images of one model: of numerators a and denominators d, and their products."""

    images: int = 0
    a: float = 0.0
    d: float = 0.0
    aa: float = 0.0
    ad: float = 0.0
    dd: float = 0.0

    def add(self, counts: Counts) -> None:
        """Take one image."""
        a, d = counts.pair
        self.images += 1
        self.a += a
        self.d += d
        self.aa += a * a
        self.ad += a * d
        self.dd += d * d

    @property
    def f1(self) -> float:
        """NaN while there is neither an object nor a detection."""
        return self.a / self.d if self.d else math.nan

    @property
    def variance(self) -> float:
        """Of the influences, the further image among them."""
        if not self.d:
            return math.inf
        f, mean = self.f1, self.d / self.images
        squares = max(self.aa - 2 * f * self.ad + f * f * self.dd, 0.0) / mean**2
        return (squares + EXTRA**2) / self.images


@dataclass
class Shared:
    """Products of both models' sums over the images that both answered."""

    aa: float = 0.0
    ad: float = 0.0  # of the champion's a and the challenger's d
    da: float = 0.0
    dd: float = 0.0

    def add(self, champion: Counts, challenger: Counts) -> None:
        """Take one image."""
        (a, d), (b, e) = champion.pair, challenger.pair
        self.aa += a * b
        self.ad += a * e
        self.da += d * b
        self.dd += d * e


@dataclass(frozen=True)
class Difference:
    """F1 of the challenger less that of the champion, with bounds that hold at every look together."""

    value: float
    low: float  # two-sided interval
    high: float
    at_least: float  # one-sided bounds
    at_most: float
    images: int


@dataclass
class Labelled:
    """Everything that labels have said so far."""

    paired: bool  # both models answered every image
    champion: Sums = field(default_factory=Sums)
    challenger: Sums = field(default_factory=Sums)
    shared: Shared = field(default_factory=Shared)

    def add(self, champion: Counts | None, challenger: Counts | None) -> None:
        """Take one labelled image with the counts of the model that answered it, or of both."""
        if champion:
            self.champion.add(champion)
        if challenger:
            self.challenger.add(challenger)
        if champion and challenger:
            self.shared.add(champion, challenger)

    def difference(self, alpha: float) -> Difference:
        """The difference so far.

        Args:
            alpha: error of the two-sided interval, and of each one-sided bound, over all looks together.
        """
        old, new = self.champion, self.challenger
        images = old.images if self.paired else old.images + new.images
        if min(old.images, new.images) < FEWEST or not old.d or not new.d:
            value = new.f1 - old.f1
            return Difference(value, -math.inf, math.inf, -math.inf, math.inf, images)
        value, variance = new.f1 - old.f1, self._paired() if self.paired else self._apart(images)
        both, one = half_width(variance, images, alpha), one_sided(variance, images, alpha)
        return Difference(value, value - both, value + both, value - one, value + one, images)

    def _apart(self, images: int) -> float:
        """Variance for images that each model answered a share of: weighted by one over that share."""
        old, new = self.champion, self.challenger
        return images * (old.variance / old.images + new.variance / new.images)

    def _paired(self) -> float:
        """Variance of the differences of influences on the same images."""
        old, new, own = self.champion, self.challenger, self.shared
        f, g = old.f1, new.f1
        product = (own.aa - g * own.ad - f * own.da + f * g * own.dd) / (old.d / old.images * new.d / new.images)
        squares = (old.variance + new.variance) * old.images - 2 * EXTRA**2 - 2 * product
        return (max(squares, 0.0) + EXTRA**2) / old.images
