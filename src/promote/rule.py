"""How sure a gate must be when one test split judges challenger after challenger.

Every look at a split that may let a worse model in spends some of the error that the decision allows. The k-th use gets
1 / (k (k + 1)) of it; the shares of however many uses add up to one, so that a split can't be worn out by trying again.
Later uses have less each, and after `MOST_USES` a fresh split costs fewer images than the old one lacks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from src.common.statistics import normal_quantile
from src.decide.uncertainty import Gap

MOST_USES = 20  # the last one is held at 1 - 0.05 / 420; its bound is 1.7 times as far from the estimate as the first's
POWER = 0.8  # how often the images that are named would let a model of this difference pass


@dataclass(frozen=True)
class Rule:
    """What a challenger is held to."""

    margin: float  # mAP50-95 that it may be worse by
    confidence: float  # of the decision: over all uses of a test split together
    use: int = 1  # which use of the test split this is

    @property
    def level(self) -> float:
        """Confidence of this one comparison."""
        return 1 - (1 - self.confidence) / (self.use * (self.use + 1))

    @property
    def worn(self) -> bool:
        """Whether the test split has been used too often."""
        return self.use > MOST_USES


def images_needed(deficit: Gap, images: int, rule: Rule) -> int | None:
    """Images of a fresh test split that would show a model of this deficit to be within the margin.

    The luck of a lead isn't counted on. None when no number would: it looks worse by the margin or more.
    """
    room = rule.margin - max(0.0, deficit.delta)
    if room <= 0 or not math.isfinite(deficit.se):
        return None
    first = Rule(rule.margin, rule.confidence)
    quantiles = normal_quantile(first.level) + normal_quantile(POWER)
    return max(images + 1, math.ceil(images * (quantiles * deficit.se / room) ** 2))
