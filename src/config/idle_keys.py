"""Keys that are set and do nothing beside the others: whoever sets one believes that it counts.

Whoever sweeps `train.plateau_patience=3,5` under another schedule would read from equal networks that patience doesn't
matter. A key counts as set where it differs from its default, so that giving a default by hand is never refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import MISSING, dataclass, fields
from functools import cache
from operator import attrgetter
from typing import Any, Generic, TypeVar

from src.common.errors import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class Idle(Generic[T]):
    """Keys, and when they are heeded.

    Attributes:
        keys: dotted names, with blanks between them.
        used: whether the arguments heed them.
        why: what they need or belong to, to follow the name of one.
        remedy: what makes them count.
    """

    keys: str
    used: Callable[[T], object]
    why: str
    remedy: str


def refuse_idle(args: T, rules: Iterable[Idle[T]], prefix: str = "") -> None:
    """Refuse the first key that is set and not heeded.

    Args:
        args: of a command, or of a group of its keys.
        rules: what is heeded when.
        prefix: of the group, with its dot.

    Raises:
        UserError: naming the key, its value and the remedy.
    """
    refuse_idle_in_all([args], rules, prefix)


def refuse_idle_in_all(
    several: Iterable[T], rules: Iterable[Idle[T]], prefix: str = "", brought: Callable[[T, str], Any] = lambda *_: None
) -> None:
    """Refuse the first key that is set in one of several configurations and heeded in none that sets it.

    Args:
        several: arguments of a command, or configurations of a sweep.
        rules: what is heeded when.
        prefix: of the group, with its dot.
        brought: the value of a key that came with a file which was chosen as a whole, and that nobody typed; or None.

    Raises:
        UserError: naming the key, its value and the remedy.
    """
    asked = [(rule, key) for rule in rules for key in rule.keys.split()]
    idle: dict[int, Any] = {}  # place among those -> value
    heeded: set[int] = set()
    for args in several:
        for place, (rule, key) in enumerate(asked):
            value = attrgetter(key)(args)
            if value == default_of(args, key):
                continue
            if rule.used(args):
                heeded.add(place)
            elif value != brought(args, key):
                idle.setdefault(place, value)
    for place, (rule, key) in enumerate(asked):
        if place in idle and place not in heeded:
            raise UserError(f"{prefix}{key} {rule.why}", value=f"{prefix}{key}={idle[place]}", remedy=rule.remedy)


def default_of(args: Any, key: str) -> Any:
    """The default of a key; of a group that a default fills, that of its field."""
    group, _, last = key.rpartition(".")
    owner: Any = type(attrgetter(group)(args) if group else args)
    return _of_field(owner, last)


@cache
def _of_field(owner: Any, name: str) -> Any:
    found = next(field for field in fields(owner) if field.name == name)
    return found.default_factory() if found.default_factory is not MISSING else found.default
