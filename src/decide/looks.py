"""Looks at growing evidence: how much confidence each needs so that all of them together keep the promised one.

Who tests after every training and stops at the first success is wrong more often than a single test would be. The
boundary here is O'Brien and Fleming's (Biometrics 35, 1979) in its continuous form (Lan and DeMets, Biometrika 70,
1983): evidence that grows in step with the share `t` of the bound that is spent is a Brownian motion, and by the
reflection principle it crosses a constant with probability 2 (1 - Φ(c)). So a look at share t asks for the one-sided
level Φ(z / √t) with z = Φ⁻¹(1 - (1 - confidence) / 2), and there may be as many looks as there are trainings: early
ones ask for much, the last one for little more than a single test. `benchmarks.until_decided` has the error that it
makes with small samples and an allocation that follows the data.

A look is a plain mapping in `SweepRecord.looks`:
  trainings  of the sweep so far, failed ones too
  share      of the bound that is spent, 0..1; the level of every bound follows from it
  level      confidence of each single comparison at this look
  recommended  label of the candidate that would ship, or ""
  questions  a list: candidate, rival (labels), config_id, rival_id, delta, low, high, status
             (within, worse, open; low and high are null where nothing is established)
  next       config_id that is trained next with a fresh seed; "" at the last look
  speed      labels of candidates whose speed against the recommended one's isn't settled; absent in earlier records
  stopped    "" | decided | trainings | hours | seeds | speed: why there is no next one (seeds: they can't settle
             what is open; speed: all but those in `speed`, which wait for another measurement)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from src.common.statistics import normal_quantile, normal_upper

Look = dict[str, Any]
LEAST_SHARE = 0.01


def level_at(confidence: float, share: float) -> float:
    """The one-sided confidence that a look needs.

    Args:
        confidence: that all looks keep together, in (0.5, 1).
        share: of the bound that is spent, 0..1.
    """
    z = normal_quantile(1 - (1 - confidence) / 2) / math.sqrt(min(1.0, max(LEAST_SHARE, share)))
    return 1 - max(normal_upper(z), 1e-12)


def share_of(looks: Sequence[Mapping[str, Any]]) -> float | None:
    """The share of the bound that was spent at the last look; None without looks."""
    if not looks:
        return None
    share = looks[-1].get("share")
    return float(share) if isinstance(share, (int, float)) else 1.0


def used_share(trainings: int, left: float) -> float:
    """The share of the evidence that there will be at most.

    Args:
        trainings: finished ones of the configurations that are compared.
        left: trainings that the bound still allows.
    """
    return 1.0 if left <= 0 else trainings / (trainings + left)
