"""The errors that a user is meant to read, and the exit codes they end in.

`UserError` is for what the user can mend: it names the key or file, the value and the remedy, and
`python -m src.run` turns it into a few lines and exit code 2, without a traceback. `StageError` is for work that
failed at run time: it is recorded as a `Failure` and the sweep goes on. `Unavailable` says that a format or runtime
can't be had on this machine: it ends as `skipped` in the report.
"""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


class UserError(Exception):
    """The configuration or the data is wrong.

    Args:
        what: what is wrong, in one sentence, naming the key or the file.
        value: the offending value, shown as written; left out when None.
        remedy: what to type instead.
    """

    def __init__(self, what: str, *, value: object = None, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.value = value
        self.remedy = remedy

    def __str__(self) -> str:
        lines = [self.what]
        if self.value is not None:
            lines.append(f"  value:  {self.value}")
        if self.remedy:
            lines.append(f"  remedy: {self.remedy}")
        return "\n".join(lines)


class StageError(Exception):
    """A stage of a trial (train, export, verify, benchmark…) failed on `target`."""

    def __init__(self, stage: str, target: str, message: str) -> None:
        super().__init__(f"{stage} of {target} failed: {message}")
        self.stage = stage
        self.target = target
        self.message = message


class Unavailable(Exception):  # noqa: N818 - it is no error: a machine without a GPU is a fine machine
    """A format or runtime can't be had here; the message gives the reason and the remedy."""


class DiskFullError(Exception):
    """The disk takes no more. It is no trial's fault: the work stops, and goes on when there is room again."""


LEAST_FREE = 1 << 20  # bytes; with less, whatever failed is taken to have failed for that
MEMORY_WORDS = (  # numpy and torch, GPUs, ONNX Runtime, OpenVINO
    "can't allocate memory",
    "unable to allocate",
    "out of memory",
    "outofmemory",
    "failed to allocate",
    "bad_alloc",
    "bad allocation",
)
FULL_WORDS = ("no space left on device", "disk is full", "disk quota exceeded")  # of libraries that hide the number


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, says that a disk is full."""
    while error is not None:
        if isinstance(error, DiskFullError) or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            return True
        if any(words in str(error).lower() for words in FULL_WORDS):
            return True
        error = error.__cause__ or error.__context__
    return False


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: engines have errors of their own for it, of the most general kinds."""
    text = f"{type(error).__name__} {error}".lower()
    return isinstance(error, MemoryError) or any(words in text for words in MEMORY_WORDS)


def stop_if_full(folder: Path, error: BaseException | None = None) -> None:
    """Tell a failure for want of room from one that counts.

    Raises:
        DiskFullError: the error says so, or the disk of `folder` has next to nothing left.
    """
    if is_disk_full(error) or shutil.disk_usage(folder).free < LEAST_FREE:
        raise DiskFullError(f"no room left on the disk of {folder}") from error
