"""Numbers that are out of their range."""

from __future__ import annotations

import copy
import dataclasses
import functools
import math
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any, get_args, get_type_hints

import pytest

from deploy import __main__ as stack
from src.common.errors import EXIT_USAGE, UserError
from src.config.checks import check
from src.config.ranges import ABOVE_0, another_port, refuse_outside
from src.config.schema import AppConfig
from src.evaluate.options import EvaluateArgs
from src.evaluate.options import check_arguments as evaluate_check
from src.loadtest.options import LoadtestArgs
from src.loadtest.options import check_arguments as loadtest_check
from src.monitor.settings import MonitorConfig
from src.monitor.settings import check as monitor_check
from src.predict.options import PredictArgs
from src.predict.options import check_arguments as predict_check
from src.serve.options import ServeArgs
from src.serve.options import check_arguments as serve_check
from src.sweeper.dashboard import DashboardArgs
from src.sweeper.dashboard import run as dashboard
from src.track.ui import UiArgs
from src.track.ui import run as ui
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


NO_CLASH = {"study.minutes": ("study.budget", "minutes")}  # what a key is heeded with


@pytest.mark.parametrize("key", sorted({*numbers(AppConfig())} - {f"data.{key}" for key in READ_WITH_THE_DATA}))
def test_every_number_of_a_configuration_has_an_upper_bound(key: str) -> None:
    """Beyond it clocks and libraries overflow, hours after the start: a time limit of 1e300 s did."""
    cfg = copy.deepcopy(plain())
    for name, value in ((key, 10**30), *([NO_CLASH[key]] if key in NO_CLASH else [])):
        group, _, last = name.rpartition(".")
        setattr(attrgetter(group)(cfg) if group else cfg, last, value)
    with pytest.raises(UserError, match=key.rpartition(".")[2]):
        check(cfg)


COMMANDS: dict[str, tuple[Callable[[], object], Callable[[Any], None]]] = {
    "serve": (ServeArgs, serve_check),
    "loadtest": (lambda: LoadtestArgs(image="x"), loadtest_check),
    "predict": (lambda: PredictArgs(model="x", source="x"), predict_check),
    "evaluate": (lambda: EvaluateArgs(artifacts="x"), evaluate_check),
    "monitor": (MonitorConfig, monitor_check),
}
LATER = ("serve.live.", "serve.tracking.", "evaluate.data.", "evaluate.trial")  # checked with what they belong to


def of_commands() -> list[str]:
    """Every number of a command as `command.key`."""
    found = [f"{command}.{key}" for command, (made, _) in COMMANDS.items() for key in numbers(made())]
    return sorted(key for key in found if not key.startswith(LATER))


@pytest.mark.parametrize("value", [-1, 10**30, math.nan])
@pytest.mark.parametrize("where", of_commands())
def test_every_number_of_a_command_has_its_range(where: str, value: float) -> None:
    command, _, key = where.partition(".")
    made, refuse = COMMANDS[command]
    args = made()
    group, _, name = key.rpartition(".")
    setattr(attrgetter(group)(args) if group else args, name, value)
    with pytest.raises(UserError, match=name):
        refuse(args)


def test_a_range_without_an_end_ends_where_slips_begin() -> None:
    with pytest.raises(UserError, match="between 0 and 1000000000000") as told:
        refuse_outside({"limit": (1e300, 0, math.inf)})
    assert told.value.remedy == "limit=1000000000000"


def test_a_remedy_is_a_number_that_the_key_takes() -> None:
    with pytest.raises(UserError) as told:
        refuse_outside({"frames": (1e30, 0, 1e12)})
    assert told.value.remedy == "frames=1000000000000", "a whole number, where the key takes those alone"


def test_another_port_is_one() -> None:
    assert another_port(8080) == 8081
    assert another_port(65_535) == 65_534


@pytest.mark.parametrize("refuse", [lambda: dashboard(DashboardArgs(port=99_999)), lambda: ui(UiArgs(port=99_999))])
def test_every_server_refuses_a_port_that_is_none(refuse: Callable[[], object]) -> None:
    with pytest.raises(UserError, match="port must be between 1 and 65535"):
        refuse()


def test_the_stack_refuses_a_port_that_is_none(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(stack, "stack", lambda port: pytest.fail("it was started"))
    monkeypatch.setattr("sys.argv", ["stack", "--port", "99999"])
    assert stack.main() == EXIT_USAGE
    assert "--port must be between 1 and 65535" in capsys.readouterr().err


@functools.cache
def plain() -> AppConfig:
    return typed()
