"""Records to and from JSON files: written whole or not at all, read strictly, with paths that survive a move."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, TypeVar

from src.common.errors import UserError
from src.common.json_values import plain
from src.common.whole_files import read_regular, write_text
from src.records.earlier import upgraded
from src.records.parsing import RecordError, parse
from src.records.relative_paths import found, written
from src.records.schema import SCHEMA_VERSION

T = TypeVar("T")
LARGEST = 2**63 - 1


def to_json(record: Any) -> str:
    """Render a record as JSON with sorted keys; NaN and infinities become null, since JSON has neither."""
    return json.dumps(plain(dataclasses.asdict(record)), indent=1, sort_keys=True, allow_nan=False) + "\n"


def from_json(cls: type[T], text: str, *, source: str = "record") -> T:
    """Parse a record of type `cls`.

    Raises:
        RecordError: not JSON, an unknown schema version, a missing or unknown field, or a value of the wrong type.
    """
    try:
        raw = json.loads(text, parse_constant=_no_number, parse_int=_whole)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a plain ValueError
        raise RecordError(f"{source}: not valid JSON ({str(error)[:200]})") from None
    if not isinstance(raw, dict):
        raise RecordError(f"{source}: expected an object")
    version = raw.get("schema_version")
    if version != SCHEMA_VERSION:
        raise RecordError(f"{source}: schema version {version!r} is not known (this program reads {SCHEMA_VERSION})")
    return parse(cls, upgraded(cls, raw, source), source)


def _no_number(word: str) -> Any:
    """NaN and Infinity are no JSON; what is not known is null."""
    raise ValueError(f"{word} is no number of JSON's")


def _whole(digits: str) -> int:
    """A whole number that also the libraries take which reckon in 64 bits."""
    value = int(digits)
    if abs(value) > LARGEST:
        raise ValueError(f"a whole number of {len(digits)} digits")
    return value


def save(path: Path, record: Any) -> None:
    """Save a record atomically; what lies in its outputs folder is named from the record's own place."""
    write_text(path, to_json(written(record, path)))


def load_or_refuse(cls: type[T], path: Path) -> T:
    """As `load`, for what a command was asked to read.

    Raises:
        UserError: the file is missing, unreadable or malformed.
    """
    try:
        return load(cls, path)
    except RecordError as error:
        raise UserError(str(error), remedy="restore the file, or write the record again by running the trial") from None


def load(cls: type[T], path: Path) -> T:
    """Load a record saved by `save`; its paths are those of the folder that it is read from, wherever that is now.

    Raises:
        RecordError: the file is missing, unreadable or malformed.
    """
    try:
        text = read_regular(path).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: can't be read ({error})") from None
    return found(from_json(cls, text, source=str(path)), path)
