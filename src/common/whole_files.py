"""Files as they should be met: read only where they are regular, written whole or not at all, locked by the kernel.

Whatever is written goes to a place aside, `.NAME.PID.HEX.tmp` in the same folder, and is renamed when it is complete:
a file that exists is whole, whenever a process dies. `is_aside` knows what a killed process left.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

TEXT = 1 << 28  # bytes that a text file (labels, annotations, lists, records) may have
ASIDE = re.compile(r"\..+\.tmp(\.npz)?")


def read_regular(path: Path | str, most: int = TEXT) -> bytes:
    """The bytes of a regular file, or of one that a link leads to.

    Raises:
        OSError: it can't be read, is no regular file, or has more than `most` bytes.
    """
    # Without O_NONBLOCK, opening a pipe waits for its other end.
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    with open(number, "rb") as stream:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if found.st_size > most:
            raise OSError(errno.EFBIG, f"has {found.st_size} bytes, more than {most}", str(path))
        return stream.read(most)


def aside_of(path: Path) -> Path:
    """A place beside `path` that nobody else writes to."""
    return path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")


def is_aside(path: Path) -> bool:
    """Whether a path is such a place, of this process or of one that was killed."""
    return ASIDE.fullmatch(path.name) is not None


@contextlib.contextmanager
def whole_file(path: Path, *, flush: bool = True) -> Iterator[Path]:
    """A place to write a file to, which takes the place of `path` at the end of the block.

    When the block fails, `path` is as it was and nothing is left beside it.

    Args:
        path: the file; folders above it are made.
        flush: to the disk before it is renamed, so that it survives a loss of power too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = aside_of(path)
    try:
        yield aside
        if flush:
            with open(aside, "rb") as stream:
                os.fsync(stream.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A place to make a folder in, which is renamed to `path` at the end of the block.

    The folder aside is not made yet. When the block fails, nothing is left of it.

    Raises:
        OSError: `path` is a folder that holds something: nothing is written over.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = aside_of(path)
    try:
        yield aside
        aside.rename(path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` so that `path` holds either the old or the whole new content, whatever happens."""
    # Names of files needn't be Unicode; what can't be encoded is written as an escape.
    with whole_file(path) as aside, open(aside, "w", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(text)


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file so that `target` holds either the old or the whole new content."""
    with whole_file(target, flush=False) as aside:
        shutil.copyfile(source, aside)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock that other processes wait for; the kernel lets go of it when this one dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="ascii") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
