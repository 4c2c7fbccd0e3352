"""Makes Linux as poor as Windows is: Python runs it first where it lies as `sitecustomize.py` on its path."""

from __future__ import annotations

import builtins
import io
import os
import pathlib
import subprocess  # noqa: F401 - it takes a system with msvcrt for Windows, so that it comes first
import sys
import types
from collections.abc import Iterator
from typing import Any

HIDDEN = ("/proc", "/sys", "/dev/nvidia")


def hidden(path: object) -> bool:
    """Whether no such file would be there."""
    return isinstance(path, (str, os.PathLike)) and str(path).startswith(HIDDEN)


def refuse(path: object) -> None:
    """As the system does."""
    if hidden(path):
        raise FileNotFoundError(2, "No such file or directory", str(path))


def locks() -> types.ModuleType:
    """Locks as Windows knows them: of bytes of a file, exclusive."""
    module: Any = types.ModuleType("msvcrt")
    module.LK_LOCK, module.LK_NBLCK = 1, 2
    module.locking = lambda handle, mode, count: None
    found: types.ModuleType = module
    return found


for name in ("sched_getaffinity", "sched_setaffinity", "killpg", "sysconf", "fork", "setsid", "getuid", "O_NONBLOCK"):
    delattr(os, name)
sys.modules.update({"fcntl": None, "resource": None, "msvcrt": locks()})  # type: ignore[dict-item]
real_open, real_exists, real_iterdir, real_glob = (
    io.open,
    pathlib.Path.exists,
    pathlib.Path.iterdir,
    pathlib.Path.glob,
)


def poor_open(file: Any, *words: Any, **named: Any) -> Any:
    """`open`, without files that only Linux has."""
    refuse(file)
    return real_open(file, *words, **named)


def poor_iterdir(self: pathlib.Path) -> Iterator[pathlib.Path]:
    """`Path.iterdir`, without folders that only Linux has."""
    refuse(self)
    return iter(list(real_iterdir(self)))


io.open = builtins.open = poor_open  # type: ignore[assignment]
pathlib.Path.exists = lambda self, *a, **k: not hidden(self) and real_exists(self, *a, **k)  # type: ignore[method-assign]
pathlib.Path.iterdir = poor_iterdir  # type: ignore[method-assign, assignment]
pathlib.Path.glob = lambda self, *a, **k: iter(()) if hidden(self) else real_glob(self, *a, **k)  # type: ignore
