"""Wrong keys and values of the wrong type, in the words of every other refusal.

Hydra's own words name no remedy, or one that is refused in its turn: to append the key that doesn't exist.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import re
import typing
from typing import Any

from omegaconf import MISSING
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, ValidationError

from src.common.errors import UserError

WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def refusal_of(error: BaseException, schema: type) -> UserError | None:
    """The refusal of a wrong key or type; None where an error is about something else.

    Args:
        error: what Hydra raised.
        schema: dataclass of the whole configuration.
    """
    cause = error.__cause__
    if isinstance(cause, (ConfigAttributeError, ConfigKeyError)) and cause.full_key:
        return _unknown(schema, str(cause.full_key))
    if not isinstance(cause, ValidationError) or not cause.full_key:
        return None
    key = re.sub(r"\[\d+\]$", "", str(cause.full_key))
    found = _field(schema, key)
    if found is None or not (wanted := _words(found[0])):
        return None
    value = "null" if cause.value is None else cause.value
    return UserError(f"{key} must be {wanted}", value=value, remedy=_remedy(key, *found))


def _unknown(schema: type, key: str) -> UserError:
    near = difflib.get_close_matches(key, _keys(schema), n=1, cutoff=0.75)
    meant = f"{near[0]}? " if near else ""
    return UserError("this key does not exist", value=key, remedy=f"{meant}--cfg job shows every key")


def _keys(schema: Any) -> list[str]:
    """Every dotted key, without the groups themselves."""
    found = []
    for name, kind in typing.get_type_hints(schema).items():
        if dataclasses.is_dataclass(kind):
            found += [f"{name}.{inner}" for inner in _keys(kind)]
        else:
            found.append(name)
    return found


def _field(schema: type, key: str) -> tuple[Any, Any] | None:
    """Type and default of a key; None where the schema doesn't tell."""
    kind: Any = schema
    default: Any = MISSING
    for name in key.split("."):
        fields = {field.name: field for field in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else {}
        if name not in fields:
            return None
        default, factory = fields[name].default, fields[name].default_factory
        if callable(factory):
            default = factory()
        kind = typing.get_type_hints(kind)[name]
    return kind, default


def _words(kind: Any) -> str:
    """What a value of this type is called; "" where there is no short name for it."""
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return "one of: " + ", ".join(member.name for member in kind)
    parts = typing.get_args(kind)
    if type(None) in parts:
        inner = [_words(part) for part in parts if part is not type(None)]
        return f"{', '.join(inner)}, or null" if all(inner) else ""
    if typing.get_origin(kind) is list:
        return f"a list of values, each {_words(parts[0])}" if _words(parts[0]) else ""
    return WORDS.get(kind, "")


def _remedy(key: str, kind: Any, default: Any) -> str:
    """The default, as it is typed."""
    if default in (MISSING, dataclasses.MISSING, ""):
        return f"--cfg job shows {key} and its kind"
    if isinstance(default, enum.Enum):
        return f"for example {key}={default.name}, the default"
    shown = "null" if default is None else str(default).lower() if isinstance(default, bool) else default
    return f"for example {key}={shown}, the default".replace(" ,", ",")
