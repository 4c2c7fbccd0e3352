"""Clears what killed preparations left behind: copies of a dataset can be large, and nobody would find them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from src.common.whole_files import clear_asides, lock

LOCK = ".lock"


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
        if lock(handle, wait=False):  # else others are at work, and what lies there may be theirs
            with contextlib.suppress(OSError):
                clear_asides(path for path in base.iterdir() if path.is_dir() and not path.is_symlink())
        with contextlib.suppress(OSError):  # a file system without locks
            lock(handle, shared=True)
        yield
    finally:
        os.close(handle)
