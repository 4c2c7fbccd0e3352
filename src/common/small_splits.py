"""What few images do to mAP: it is too high on average, and resamples show a part of that once more."""

from __future__ import annotations

import math

# Times what the resamples show: first + second / sqrt(groups), fitted to the scenes of benchmarks/decision_coverage.
BIAS = (2.0, 8.0)


def bias_of(shown: float, groups: float) -> float:
    """How much too high an mAP is, never below 0.

    mAP of few images is too high since precision is made monotone, which favours lucky orders. Resamples of the same
    images show the bias once more (Efron and Tibshirani, "An introduction to the bootstrap", 1993, 10.2), but only a
    part of it: two fifths in simulations, less of few groups.

    Args:
        shown: mean of the resampled mAPs less the mAP of the split as it is.
        groups: of images that are drawn together.
    """
    if not groups > 0:
        return 0.0
    return max(0.0, (BIAS[0] + BIAS[1] / math.sqrt(groups)) * shown)
