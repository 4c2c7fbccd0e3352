"""Cells of CSV files: names and messages come from outside, and a spreadsheet runs what looks like a formula."""

from __future__ import annotations

import math
import re
from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # full-width forms too, which some spreadsheets fold
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def cell(value: Any) -> Any:
    """A value as a CSV cell: unknown numbers are empty, numbers stay numbers, other text can't start a formula."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if not isinstance(value, str):
        return value
    text = value.replace("\0", "")
    risky = text.startswith(FORMULA) or text.lstrip().startswith(FORMULA)
    return "'" + text if risky and not NUMBER.fullmatch(text) else text
