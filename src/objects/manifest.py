"""The list of a trial's files in a store: what each is called in the sweep's folder, and the hash of its content.

A content is stored under its own hash, and the list is stored last. So a list never names what is not there, two
workers that were both at a trial can't mix their files, and what is sent again costs nothing. Lists are read as what
they are, a text from elsewhere: only names that this program gives are taken, so that none leads out of the folder.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from src.common.errors import StageError
from src.records.sweep_folder import TRIALS

VERSION = 1
MOST_BYTES = 1 << 24  # of a list
MOST_FILES = 100_000
STATES = ("finished", "paused")
SHA256 = re.compile(r"[0-9a-f]{64}")
PART = re.compile(r"[^/\\\0\s.][^/\\\0]{0,199}")  # a plain name: not hidden, not `..`
SHARED = re.compile(r"truths/[0-9a-f]{16}-(train|val|test)\.npz")


@dataclass(frozen=True)
class Stored:
    """One file."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """The files of one trial."""

    sweep: str
    trial: int
    state: str  # finished, or paused at a rung
    epochs: int
    files: dict[str, Stored]  # by name below the sweep's folder

    def to_bytes(self) -> bytes:
        """As it is stored."""
        plain = {"version": VERSION, **asdict(self)}
        return json.dumps(plain, indent=1, sort_keys=True).encode()


def content_key(sha256: str) -> str:
    """Where a content is."""
    return f"contents/{sha256}"


def manifest_key(trial: int) -> str:
    """Where the list of a trial is."""
    return f"{TRIALS}/{trial:04d}.json"


def trial_of_key(key: str) -> int | None:
    """The trial whose list this is; None for anything else."""
    found = re.fullmatch(rf"{TRIALS}/(\d{{4,9}})\.json", key)
    return int(found[1]) if found else None


def read_manifest(content: bytes, sweep: str, trial: int) -> Manifest:
    """A list as it came from a store.

    Raises:
        StageError: it is no list of this trial, or names what can't be a file of it.
    """
    try:
        if len(content) > MOST_BYTES:
            raise ValueError("it is too long")
        return _checked(json.loads(content), sweep, trial)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = f"the list in the store can't be used ({type(error).__name__}: {str(error)[:200]})"
        raise StageError("fetch", manifest_key(trial), reason) from None


def _checked(raw: Any, sweep: str, trial: int) -> Manifest:
    if raw["version"] != VERSION:
        raise ValueError(f"version {raw['version']!r} is not known")
    if (raw["sweep"], raw["trial"]) != (sweep, trial):
        raise ValueError("it is of another trial")
    if raw["state"] not in STATES or not isinstance(raw["epochs"], int):
        raise ValueError("its state is none")
    if len(raw["files"]) > MOST_FILES:
        raise ValueError("it has too many files")
    files = {_name(name, trial): _stored(value) for name, value in raw["files"].items()}
    return Manifest(sweep, trial, raw["state"], raw["epochs"], files)


def _name(name: str, trial: int) -> str:
    if SHARED.fullmatch(name):
        return name
    first, second, *rest = name.split("/")
    if (first, second) != (TRIALS, f"{trial:04d}") or not rest or not all(PART.fullmatch(part) for part in rest):
        raise ValueError(f"{name[:100]!r} is no file of the trial")
    return name


def _stored(raw: Any) -> Stored:
    sha256, size = raw["sha256"], raw["bytes"]
    if not SHA256.fullmatch(sha256) or not isinstance(size, int) or size < 0:
        raise ValueError("a file has no hash or size")
    return Stored(sha256, size)
