"""A hostile case: what is laid out, which command is typed, and how it may end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HOME = "@HOME@"  # in words: the case's own folder
MARKER = "MARKER"  # file in it that a payload makes; nothing else ever does

REFUSED = "refused"  # exit 2, told in a few lines
SKIPPED = "skipped"  # exit 0 or 1, and what was left out is named
TAKEN = "taken"  # exit 0: odd, but sound

Build = Callable[[Path], None]


def nothing(home: Path) -> None:
    """Lay nothing out."""


@dataclass(frozen=True)
class Case:
    """One hostile or broken input."""

    kind: str  # row of the table
    name: str
    module: str  # src.run, src.data, …
    words: tuple[str, ...]
    build: Build = nothing  # writes below home/in (and home/outputs where a record is hostile)
    ends: tuple[str, ...] = (REFUSED,)
    names: str = ""  # what the message must contain, e.g. the file
    may_run: bool = False  # trust=true was said: the payload runs, and the output must say so
    heavy: bool = False  # needs torch or an engine: only in the whole set
    env: tuple[tuple[str, str], ...] = ()

    @property
    def label(self) -> str:
        return f"{self.kind}/{self.name}"


def instead(make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Take a file away and put something else in its place."""

    def change(path: Path) -> None:
        path.unlink()
        make(path)

    return change


def payload(home: Path) -> str:
    """A shell command that leaves the marker."""
    return f"touch '{home / MARKER}'"
