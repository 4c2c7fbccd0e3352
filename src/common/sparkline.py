"""A curve in one character a value, for terminals and tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], *, low: float | None = 0.0, top: float | None = None) -> str:
    """A row of bars; a dot where a value is missing.

    Args:
        values: NaN where one is missing.
        low: of the scale; None = the lowest value.
        top: of the scale; None = the highest value.
    """
    known = [v for v in values if math.isfinite(v)]
    if not known:
        return ""
    bottom = min(known) if low is None else low
    span = (max(known) if top is None else top) - bottom
    return "".join("·" if not math.isfinite(v) else _bar((v - bottom) / span if span > 0 else 0.0) for v in values)


def _bar(share: float) -> str:
    return BARS[round(min(max(share, 0.0), 1.0) * (len(BARS) - 1))]
