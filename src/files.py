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
