"""What this operating system offers beyond Python itself, and what can't work where it doesn't.

The program is developed and tested on Linux. macOS lacks the binding to cores and /proc; Windows lacks locks of files
and groups of processes too. Each is asked for here, so that a command says at once what it can't do, in place of an
`ImportError` or `AttributeError` in its middle.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from src.common.errors import UserError
from src.common.whole_files import HAS_LOCKS

STAT = Path("/proc/stat")
WSL = "run it in WSL 2 (`wsl --install`), in a container, or on Colab: see docs/platforms.md"


def usable_cores() -> list[int]:
    """Numbers of the cores that this process may use; all of the machine's where the system doesn't tell."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def bind(cores: list[int]) -> bool:
    """Keep this process on these cores; False where the system can't."""
    if not hasattr(os, "sched_setaffinity"):
        return False
    os.sched_setaffinity(0, cores)
    return True


def kill_group(process: subprocess.Popen[Any]) -> None:
    """End a process that was started as the head of its group, with all that it started.

    Where there are no groups, it alone is ended.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def require_locks() -> None:
    """Check that processes can keep out of each other's way, which sweeps and datasets rest on.

    Raises:
        UserError: they can't here.
    """
    if not HAS_LOCKS:
        raise UserError("this system has no locks of files between processes (fcntl), which sweeps need", remedy=WSL)


def lacking(stat: Path = STAT) -> list[str]:
    """What does not work here, or works less well, as sentences; empty on Linux."""
    found = []
    if not hasattr(os, "sched_setaffinity"):
        found.append("processes can't be bound to cores here: latencies scatter more; measure on Linux what decides")
    if not stat.exists():
        found.append("what else takes the processor can't be read here: disturbed blocks are not measured again")
    if not hasattr(os, "killpg"):
        found.append("groups of processes can't be ended here: children of a killed worker may live on")
    return found
