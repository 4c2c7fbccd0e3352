"""Keys of a command that are set and do nothing beside the others: whoever sets one believes that it counts.

A key counts as set where it differs from its default, so that giving a default by hand is never refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import MISSING, dataclass, fields
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
    for rule in rules:
        if rule.used(args):
            continue
        for key in rule.keys.split():
            value = attrgetter(key)(args)
            if value != _default(args, key):
                raise UserError(f"{prefix}{key} {rule.why}", value=f"{prefix}{key}={value}", remedy=rule.remedy)


def _default(args: Any, key: str) -> Any:
    """The default of a key; of a group that a default fills, that of its field."""
    group, _, last = key.rpartition(".")
    owner = type(attrgetter(group)(args) if group else args)
    found = next(field for field in fields(owner) if field.name == last)
    return found.default_factory() if found.default_factory is not MISSING else found.default
