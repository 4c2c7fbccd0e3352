"""Folders in the system's temporary one, for copies of models and for numbers; and what kills left of them.

Each holds a lock for as long as its process lives. Whoever makes one removes those that nobody holds any more: a
service that is killed again and again fills no disk.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import IO

from src.common.whole_files import HAS_LOCKS, lock

PREFIX, LOCK = "detsweep-serve-", ".held"
_held: dict[Path, IO[bytes]] = {}


def make() -> Path:
    """A new folder, this process's until it ends or calls `remove`."""
    if HAS_LOCKS:
        remove_abandoned()
    aside = Path(tempfile.mkdtemp(prefix=f".{PREFIX}"))  # nobody looks for a lock in it yet
    stream = open(aside / LOCK, "wb")  # noqa: SIM115 - the lock is held until the folder is removed
    lock(stream.fileno(), wait=False)
    made = aside.with_name(aside.name[1:])
    aside.rename(made)
    _held[made] = stream
    return made


def remove(folder: Path) -> None:
    """Remove a folder that `make` made."""
    shutil.rmtree(folder, ignore_errors=True)
    if (stream := _held.pop(folder, None)) is not None:
        stream.close()


def remove_abandoned() -> None:
    """Remove the folders of this user that no process holds."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            if folder in _held or folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            with open(folder / LOCK, "rb") as stream:
                if lock(stream.fileno(), wait=False):
                    shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # another process removes it, or it is none of ours
            continue
