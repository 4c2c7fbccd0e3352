"""Turns parsed JSON into frozen dataclasses by their annotations, naming the field in every error.

It knows dataclasses, lists, dictionaries, literals, optional values and scalars, which is what records are made of.
This module imports the standard library only, as records do.

msgspec (0.22) would not do: into a dataclass it passes over unknown fields, which its own structs alone can refuse, and
it refuses null for a float, which is how records write NaN.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Callable
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

T = TypeVar("T")
_UNIONS = (Union, getattr(types, "UnionType", Union))  # `X | Y` came with Python 3.10; bundles run on 3.9 too


class RecordError(ValueError):
    """A saved record is malformed, or of a schema version that this program does not know."""


def parse(cls: type[T], raw: Any, source: str) -> T:
    """An object of the dataclass `cls` from parsed JSON.

    Raises:
        RecordError: a missing or unknown field, or a value of the wrong type, named with `source`.
    """
    return typing.cast(T, _parser(typing.cast(Any, cls))(raw, (None, source)))


# Where a value stands in a record, as (where its parent stands, its own name): put into words only for an error.
_Place = tuple[Any, Union[str, int]]
_Parse = Callable[[Any, _Place], Any]


def _said(where: _Place) -> str:
    """`source.field[0].name`."""
    parent, name = where
    if parent is None:
        return str(name)
    return _said(parent) + (f"[{name}]" if isinstance(name, int) else f".{name}")


@functools.cache
def _parser(kind: Any) -> _Parse:
    """What converts parsed JSON to the annotated type `kind`, naming the field in every error.

    It is made once for every type: taking annotations apart for each value took most of the time of loading records.
    """
    if dataclasses.is_dataclass(kind):
        return _dataclass_parser(typing.cast(type, kind))
    origin, args = get_origin(kind), get_args(kind)
    if origin in _UNIONS:
        return _optional_parser(args)
    if origin is Literal:
        return _literal_parser(args)
    if origin is list:
        return _list_parser(args[0])
    if origin is dict:
        return _dict_parser(args[1])
    return _scalar_parser(kind)


def _optional_parser(args: tuple[Any, ...]) -> _Parse:
    parse, optional = _parser(next(a for a in args if a is not type(None))), type(None) in args

    def parse_optional(value: Any, where: _Place) -> Any:
        return None if value is None and optional else parse(value, where)

    return parse_optional


def _literal_parser(args: tuple[Any, ...]) -> _Parse:
    def parse_literal(value: Any, where: _Place) -> Any:
        if value not in args:
            raise RecordError(f"{_said(where)}: {value!r} is none of {', '.join(map(str, args))}")
        return value

    return parse_literal


def _list_parser(kind: Any) -> _Parse:
    parse = _parser(kind)

    def parse_list(value: Any, where: _Place) -> Any:
        if not isinstance(value, list):
            raise RecordError(f"{_said(where)}: expected a list")
        if kind is float and all(type(item) is float for item in value):
            return value  # a thousand resamples a trial, and nearly always just this
        return [parse(item, (where, i)) for i, item in enumerate(value)]

    return parse_list


def _dict_parser(kind: Any) -> _Parse:
    parse = _parser(kind)

    def parse_dict(value: Any, where: _Place) -> Any:
        if not isinstance(value, dict):
            raise RecordError(f"{_said(where)}: expected an object")
        if kind is Any or (kind is float and all(type(item) is float for item in value.values())):
            return value  # histories are long, and nearly always just this
        return {k: parse(item, (where, k)) for k, item in value.items()}

    return parse_dict


def _scalar_parser(kind: Any) -> _Parse:
    def parse_scalar(value: Any, where: _Place) -> Any:
        if kind is Any:
            return value
        if kind is float:
            if value is None:
                return math.nan
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                try:
                    return float(value)
                except OverflowError:  # an integer of hundreds of digits, which JSON may hold
                    raise RecordError(f"{_said(where)}: the number is too large") from None
        elif isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
            return value
        raise RecordError(f"{_said(where)}: expected {kind.__name__}, found {value!r}")

    return parse_scalar


def _dataclass_parser(cls: type) -> _Parse:
    missing = dataclasses.MISSING
    required = [f.name for f in dataclasses.fields(cls) if f.default is missing and f.default_factory is missing]
    parsers = {name: _parser(kind) for name, kind in typing.get_type_hints(cls).items()}
    known = parsers.keys()

    def parse_dataclass(value: Any, where: _Place) -> Any:
        if not isinstance(value, dict):
            raise RecordError(f"{_said(where)}: expected an object")
        if unknown := sorted(value.keys() - known):
            raise RecordError(f"{_said(where)}: unknown field {unknown[0]!r}")
        if absent := [name for name in required if name not in value]:
            raise RecordError(f"{_said(where)}: field {absent[0]!r} is missing")
        fields = {name: parsers[name](item, (where, name)) for name, item in value.items()}
        try:
            return cls(**fields)
        except ValueError as error:
            raise RecordError(f"{_said(where)}: {error}") from None

    return parse_dataclass
