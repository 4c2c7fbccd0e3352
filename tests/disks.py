"""A disk that is really small: a file system in memory, which takes root to mount."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    """A file system of so many bytes (`40m`) at a new folder; the test is skipped where none can be mounted."""
    place.mkdir()
    try:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True, check=False
        )
    except OSError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip("mounting is not allowed here: it takes root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)


def fill(disk: Path, leave: int = 0) -> Path:
    """Fill a small disk with one file, but for so many bytes; returns the file."""
    path = disk / "filler"
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as stream:
        while stream.write(bytes(4096)) == 4096:
            pass
    if leave:
        with open(path, "r+b") as stream:
            stream.truncate(max(path.stat().st_size - leave, 0))
    return path
