"""Numbers of a command that must lie in a range."""

from __future__ import annotations

from collections.abc import Mapping

from src.common.errors import UserError


def refuse_outside(ranges: Mapping[str, tuple[float, float, float]]) -> None:
    """Refuse the first number that is out of its range.

    Args:
        ranges: by key: the value, the lowest and the highest that may be.

    Raises:
        UserError: naming the key, its value and the remedy.
    """
    for key, (value, low, high) in ranges.items():
        if not low <= value <= high:
            nearest = high if value > high else low
            raise UserError(f"{key} must be between {low:g} and {high:g}", value=value, remedy=f"{key}={nearest}")
