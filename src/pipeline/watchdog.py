"""Ends a training that hangs.

A training may hang where no Python runs: in a kernel of a library, in a driver, with the interpreter's lock held. No
exception gets there. The interpreter's fault handler has a thread of its own in C, which writes down where every
thread stands and ends the process. Whoever started the process starts it again, and the next attempt finds what was
written.
"""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from src.cli.command import guarded
from src.common.errors import EXIT_FAILED, EXIT_INTERRUPTED
from src.records.sweep_folder import TrialFolder

GRACE = 0.1  # share of the limit by which the check after every epoch goes first: it needs no new process
LEAST_GRACE_S = 1.0


@contextlib.contextmanager
def watchdog(folder: Path, limit_s: float | None) -> Iterator[None]:
    """End this process when the block takes longer than `limit_s` and its grace; None never does.

    Args:
        folder: of the trial; gets the evidence.
        limit_s: seconds.
    """
    if limit_s is None:
        yield
        return
    path = TrialFolder(folder).hang
    with open(path, "w", encoding="utf-8") as stream:
        faulthandler.dump_traceback_later(limit_s + max(GRACE * limit_s, LEAST_GRACE_S), exit=True, file=stream)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            path.unlink(missing_ok=True)


def hung(folder: Path) -> bool:
    """Whether a process was ended while it worked on the trial of this folder."""
    path = TrialFolder(folder).hang
    return path.is_file() and path.stat().st_size > 0


def attended(work: Callable[[], int], folder: Path) -> int:
    """Run `work` in a process of its own, and once more whenever the watchdog ended it; returns its exit code.

    Call it before anything heavy is imported: the process is a copy of this one.

    Args:
        work: finds in the trial's folder that its attempt was ended, and goes on from there.
        folder: of the trial.
    """
    ended = 0
    while True:
        child = multiprocessing.get_context("fork").Process(target=_attend, args=(work,))
        child.start()
        try:
            child.join()
        except KeyboardInterrupt:
            child.terminate()
            child.join()
            return EXIT_INTERRUPTED
        before, ended = ended, _when(folder)
        if ended == before:  # it ended by itself, or before it came to the trial
            return EXIT_FAILED if child.exitcode is None or child.exitcode < 0 else child.exitcode


def _when(folder: Path) -> int:
    """When the watchdog ended a process that worked on a trial, ns; 0 when it did not, or that is settled."""
    return TrialFolder(folder).hang.stat().st_mtime_ns if hung(folder) else 0


def _attend(work: Callable[[], int]) -> None:
    sys.exit(guarded(work))
