"""Places written down: a path in a record or a queue is worth something only beside the folder it was written in.

An outputs folder may be moved, copied or mounted elsewhere. So a record's file says where things are from its own place
(`./../../../../datasets/…`, always with the dot first), and whoever reads it gets paths beside the folder that it was
read from. Files of earlier versions hold paths as they were on the day: what they name is looked for below the folder
that they are read from, by the part of the path that is ours.

Only the standard library is imported here, as in records.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from src.records.sweep_folder import DATASETS, RUNS, SWEEPS, TRIALS

PLACE = {"place": True}  # metadata of a record's field that holds a path
OURS = (SWEEPS, RUNS, DATASETS)  # folders of an outputs folder
_HERE = "./"

T = TypeVar("T")


def written(record: T, file: Path) -> T:
    """The record as it is saved in `file`: what lies in the same outputs folder is named from there."""
    root = outputs_of(file)
    return _changed(record, lambda place: _relative(place, file.parent, root))


def found(record: T, file: Path) -> T:
    """The record as it is meant where `file` lies now."""
    return _changed(record, lambda place: _resolved(place, file))


def outputs_of(file: Path) -> Path:
    """The outputs folder that a record's file lies in; its sweep's folder where that lies in none.

    outputs/sweeps/<sweep>/sweep.json, …/trials/0000/record.json, …/trials/0000/evaluation/….json
    """
    parents = absolute(file).parents
    sweep = next((folder.parent for folder in parents if folder.name == TRIALS), parents[0])
    return sweep.parent.parent if sweep.parent.name in OURS else sweep


def absolute(path: Path | str) -> Path:
    """The absolute path without its dots; links are left alone, since a folder may be reached through one."""
    return Path(os.path.normpath(Path(path).absolute()))


def moved(path: str, then: str, now: Path) -> str:
    """Where a file is that was at `path` when its outputs folder was `then`; the folder is `now`.

    Args:
        path: absolute.
        then: the folder when the path was written down; "" where that is not known.
        now: the folder.
    """
    if not then:
        return _anchored(path, now) or path
    here = absolute(now / os.path.relpath(path, then))
    if Path(path).is_relative_to(then):
        return str(here)
    return str(here) if here.exists() and not Path(path).exists() else path


def _relative(place: str, base: Path, root: Path) -> str:
    if not place or not absolute(place).is_relative_to(root):
        return place
    return _HERE + os.path.relpath(absolute(place), absolute(base))


def _resolved(place: str, file: Path) -> str:
    if place.startswith(_HERE):
        return os.path.normpath(file.parent / place)
    old = _anchored(place, outputs_of(file))
    return os.path.normpath(file.parent / os.path.relpath(old, absolute(file.parent))) if old else place


def _anchored(place: str, root: Path) -> str:
    """What a path of another day names below `root`; "" where it names nothing there."""
    parts = Path(place).parts
    for i, part in enumerate(parts):
        if part in OURS and _exists(here := root.joinpath(*parts[i:])):
            return str(here)
    return ""


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # no path at all: too long, or with a zero byte
        return False


def _changed(record: T, change: Callable[[str], str]) -> T:
    """A record with every place in it changed."""
    new: dict[str, Any] = {}
    for name, is_place in _shape(typing.cast(Any, type(record))):
        value = getattr(record, name)
        if is_place:
            new[name] = change(value)
        elif isinstance(value, list):
            new[name] = [_changed(item, change) for item in value]
        elif value is not None:
            new[name] = _changed(value, change)
    return dataclasses.replace(typing.cast(Any, record), **new) if new else record


@functools.cache
def _shape(kind: type) -> tuple[tuple[str, bool], ...]:
    """Fields of a record that are places (true), or hold records that have some."""
    if not dataclasses.is_dataclass(kind):
        return ()
    hints = typing.get_type_hints(kind)
    fields = dataclasses.fields(kind)
    return tuple(
        (f.name, bool(f.metadata.get("place")))
        for f in fields
        if f.metadata.get("place") or any(_shape(t) for t in _records_in(hints[f.name]))
    )


def _records_in(hint: Any) -> list[type]:
    """Dataclasses that an annotation `R`, `R | None` or `list[R]` names."""
    return [t for t in (hint, *typing.get_args(hint)) if isinstance(t, type) and dataclasses.is_dataclass(t)]
