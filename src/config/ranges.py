"""Numbers that must lie in a range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from operator import attrgetter

from src.common.errors import UserError

ABOVE_0 = math.ulp(0.0)  # the lowest number that may be, where 0 may not
Range = tuple[float | None, float, float]  # the value, None where there is none; the lowest and the highest that may be


def refuse_outside(ranges: Mapping[str, Range], defaults: object = None) -> None:
    """Refuse the first number that is out of its range.

    Args:
        ranges: by key; the highest may be infinite, which no value may be.
        defaults: what has the keys as attributes, to tell a value that works; else the nearest number is told.

    Raises:
        UserError: naming the key, its value and the remedy.
    """
    for key, (value, low, high) in ranges.items():
        if value is None or (low <= value <= high and math.isfinite(value)):
            continue
        if defaults is None:
            remedy = _nearest(key, value, low, high)
        else:
            remedy = f"for example {key}={attrgetter(key)(defaults):g}, the default"
        raise UserError(f"{key} must be {_words(low, high)}", value=value, remedy=remedy)


def _words(low: float, high: float) -> str:
    if math.isinf(high):
        return "above 0" if low == ABOVE_0 else f"at least {low:g}"
    return f"above 0 and at most {high:g}" if low == ABOVE_0 else f"between {low:g} and {high:g}"


def _nearest(key: str, value: float, low: float, high: float) -> str:
    if value > high:
        return f"{key}={high}"
    if low == ABOVE_0:
        return f"a number above 0 for {key}"
    return f"{key}={low}" + (" or more" if math.isinf(high) else "")
