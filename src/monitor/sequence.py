"""Confidence sequences: intervals that hold at every look together, so that looking may stop the test at any time.

Asymptotic ones for a mean (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, Annals of Statistics 52, 2024). They
are tightest at about `TIGHTEST` images. Asymptotic means that they need some images first: nothing is claimed before
`FEWEST`, and one further image whose influence is 1 counts towards every variance, so that images that happen to agree
are no proof of agreement.
"""

from __future__ import annotations

import math

TIGHTEST = 500  # images
FEWEST = 50


def rho_squared(alpha: float, tightest: int = TIGHTEST) -> float:
    """The tuning that makes an interval tightest at `tightest` images."""
    log = -2 * math.log(alpha)
    return (log + math.log(log) + 1) / tightest


def half_width(variance: float, images: int, alpha: float) -> float:
    """Half width of the two-sided interval of a mean; infinite below `FEWEST` images."""
    if images < FEWEST:
        return math.inf
    spread = images * rho_squared(alpha) + 1
    return math.sqrt(variance * 2 * spread / (images * (spread - 1)) * math.log(math.sqrt(spread) / alpha))


def one_sided(variance: float, images: int, alpha: float) -> float:
    """Distance of the one-sided bound of a mean; infinite below `FEWEST` images."""
    if images < FEWEST:
        return math.inf
    spread = images * rho_squared(alpha) + 1
    return math.sqrt(variance * 2 * spread / (images * (spread - 1)) * math.log1p(math.sqrt(spread) / (2 * alpha)))
