"""Numbers that are out of their range."""

from __future__ import annotations

import copy
import dataclasses
import functools
import math
from collections.abc import Iterator
from operator import attrgetter
from typing import get_args, get_type_hints

import pytest

from src.common.errors import UserError
from src.config.checks import check
from src.config.ranges import ABOVE_0, refuse_outside
from src.config.schema import AppConfig
from tests.configurations import typed


@pytest.mark.parametrize(
    ("value", "remedy"), [(0, "port=1"), (99_999, "port=65535"), (math.nan, "port=1"), (-math.inf, "port=1")]
)
def test_the_remedy_is_the_nearest_number_that_may_be(value: float, remedy: str) -> None:
    with pytest.raises(UserError, match="between 1 and 65535") as told:
        refuse_outside({"port": (value, 1, 65535)})
    assert told.value.remedy == remedy


def test_the_ends_belong_to_the_range() -> None:
    refuse_outside({"low": (1, 1, 5), "high": (5, 1, 5)})


def test_a_range_may_begin_above_0_and_have_no_end() -> None:
    refuse_outside({"limit": (0.5, ABOVE_0, math.inf), "none": (None, ABOVE_0, math.inf)})
    for value in (0, -1, math.inf, math.nan):
        with pytest.raises(UserError, match="limit must be above 0"):
            refuse_outside({"limit": (value, ABOVE_0, math.inf)})


def numbers(config: object, prefix: str = "") -> Iterator[str]:
    """Dotted names of the numbers of a configuration, those that may be null among them."""
    types = get_type_hints(type(config))
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from numbers(value, f"{prefix}{field.name}.")
        elif not isinstance(value, list) and {int, float} & {types[field.name], *get_args(types[field.name])}:
            yield f"{prefix}{field.name}"


READ_WITH_THE_DATA = ("fraction", "val_share", "test_share", "n_calibration", "version")


@pytest.mark.parametrize("key", sorted({*numbers(AppConfig())} - {f"data.{key}" for key in READ_WITH_THE_DATA}))
def test_no_number_of_a_configuration_may_be_below_0(key: str) -> None:
    cfg = copy.deepcopy(plain())
    group, _, name = key.rpartition(".")
    setattr(attrgetter(group)(cfg) if group else cfg, name, -1)
    with pytest.raises(UserError, match=f"{name}|{group}"):
        check(cfg)


@functools.cache
def plain() -> AppConfig:
    return typed()
