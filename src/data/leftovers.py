"""Clears what killed preparations left behind: copies of a dataset can be large, and nobody would find them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

LOCK = ".lock"
# What is written aside or taken out of the way: .NAME.PID.HEX, .NAME.HEX, .NAME.HEX.old, and scratch of the digits.
ASIDE = re.compile(r"\..+\.[0-9a-f]{8}(\.old)?|\.digits-\w{8}")


@contextlib.contextmanager
def preparing(base: Path) -> Iterator[None]:
    """Hold a folder of datasets while one is prepared in it; who comes alone first clears what killed ones left.

    Any number of processes may prepare at the same time. The kernel lets go of the lock when a process dies.
    """
    try:
        handle = os.open(base / LOCK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError:  # where nothing can be written, nothing is prepared either
        yield
        return
    try:
        with contextlib.suppress(OSError):  # others are at work, and what lies there may be theirs
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _clear(base)
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def _clear(base: Path) -> None:
    for path in base.iterdir():
        if ASIDE.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
