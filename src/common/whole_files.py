"""Reads files that others wrote: a pipe, a device or a file without end must not hang or fill the memory."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

TEXT = 1 << 28  # bytes that a text file (labels, annotations, lists, records) may have


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


def write_text(path: Path, text: str) -> None:
    """Write `text` so that `path` holds either the old or the whole new content, whatever happens."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        # Names of files needn't be Unicode; what can't be encoded is written as an escape.
        with open(aside, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
