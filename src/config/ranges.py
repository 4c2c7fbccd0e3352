"""Numbers that must lie in a range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from operator import attrgetter

from src.common.errors import UserError

ABOVE_0 = math.ulp(0.0)  # the lowest number that may be, where 0 may not
# The highest number of a range that has no end of its own. Beyond it are slips only, and clocks and libraries overflow.
HIGHEST = 1e12
LONGEST_S = 1e8  # of a time, in seconds: three years
MOST_THREADS = 4096
PORTS = (1, 65_535)  # where a server can listen; 0 would be another one at each start
Range = tuple[float | None, float, float]  # the value, None where there is none; the lowest and the highest that may be


def refuse_outside(ranges: Mapping[str, Range], defaults: object = None) -> None:
    """Refuse the first number that is out of its range.

    Args:
        ranges: by key; the highest may be infinite, and is `HIGHEST` then.
        defaults: what has the keys as attributes, to tell a value that works; else the nearest number is told.

    Raises:
        UserError: naming the key, its value and the remedy.
    """
    for key, (value, low, high) in ranges.items():
        if value is None or low <= value <= min(high, HIGHEST):
            continue
        if value > HIGHEST:
            high = min(high, HIGHEST)
        if defaults is None:
            remedy = _nearest(key, value, low, high)
        else:
            remedy = f"for example {key}={attrgetter(key)(defaults):g}, the default"
        raise UserError(f"{key} must be {_words(low, high)}", value=value, remedy=remedy)


def another_port(port: int) -> int:
    """A port to try where one is taken."""
    return port + 1 if port < PORTS[1] else port - 1


def _words(low: float, high: float) -> str:
    if math.isinf(high):
        return "above 0" if low == ABOVE_0 else f"at least {_plain(low)}"
    return f"above 0 and at most {_plain(high)}" if low == ABOVE_0 else f"between {_plain(low)} and {_plain(high)}"


def _nearest(key: str, value: float, low: float, high: float) -> str:
    if value > high:
        return f"{key}={_plain(high)}"
    if low == ABOVE_0:
        return f"a number above 0 for {key}"
    return f"{key}={_plain(low)}" + (" or more" if math.isinf(high) else "")


def _plain(number: float) -> str:
    """A number as a key takes it: one without a fraction may belong to a key that takes whole numbers alone."""
    return f"{number:.0f}" if float(number).is_integer() else f"{number:g}"
