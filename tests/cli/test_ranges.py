"""Numbers that are out of their range."""

from __future__ import annotations

import math

import pytest

from src.cli.ranges import refuse_outside
from src.common.errors import UserError


@pytest.mark.parametrize(
    ("value", "remedy"), [(0, "port=1"), (99_999, "port=65535"), (math.nan, "port=1"), (-math.inf, "port=1")]
)
def test_the_remedy_is_the_nearest_number_that_may_be(value: float, remedy: str) -> None:
    with pytest.raises(UserError, match="between 1 and 65535") as told:
        refuse_outside({"port": (value, 1, 65535)})
    assert told.value.remedy == remedy


def test_the_ends_belong_to_the_range() -> None:
    refuse_outside({"low": (1, 1, 5), "high": (5, 1, 5)})
