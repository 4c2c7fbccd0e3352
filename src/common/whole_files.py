"""Files and folders that are whole or not there, the lock between processes, and careful reading.

Whatever is written in more than one step is written aside, as `.NAME.PID.HEX.tmp` in the same folder, and renamed: a
process that dies leaves the old content or the whole new one. What it leaves aside is known by its name. A file that
others wrote is read with care: a pipe, a device or a file without end must not hang or fill the memory.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

try:
    import fcntl as _fcntl
except ImportError:  # Windows: what needs shared locks says so, see `src.machine.abilities`
    _fcntl = None  # type: ignore[assignment]

fcntl: Any = _fcntl
HAS_LOCKS = fcntl is not None

# Beside it the names of earlier versions: .NAME.PID.tmp, .NAME.PID.tmp.npz, and of datasets .NAME.PID.HEX, .NAME.HEX,
# .NAME.HEX.old and .digits-XXXXXXXX.
ASIDE = re.compile(r"\..+\.(tmp|tmp\.npz|[0-9a-f]{8}(\.old)?)|\.digits-\w{8}")
TEXT = 1 << 28  # bytes that a text file (labels, annotations, lists, records) may have


def read_regular(path: Path | str, most: int = TEXT) -> bytes:
    """The bytes of a regular file, or of one that a link leads to.

    Raises:
        OSError: it can't be read, is no regular file, or has more than `most` bytes.
    """
    # Without O_NONBLOCK, opening a pipe waits for its other end.
    number = os.open(
        path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    found = os.fstat(number)
    if not stat.S_ISREG(found.st_mode):  # a folder can't even be made a stream of
        os.close(number)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with open(number, "rb") as stream:
        if found.st_size > most:
            raise OSError(errno.EFBIG, f"has {found.st_size} bytes, more than {most}", str(path))
        return stream.read(most)


def aside_of(path: Path) -> Path:
    """A name beside `path` that no other process or thread uses, and that `is_aside` knows."""
    return path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")


def is_aside(path: Path) -> bool:
    """Whether a path has the name of something that was written aside."""
    return ASIDE.fullmatch(path.name) is not None


@contextlib.contextmanager
def whole_file(path: Path, *, sync: bool = False) -> Iterator[Path]:
    """Gives a path aside to write to; at the end of the block it becomes `path`. An exception leaves `path` as it was.

    Args:
        path: the file; its folder is made where it is missing.
        sync: wait for the disk, so that a loss of power leaves nothing torn either.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = aside_of(path)
    try:
        yield aside
        if sync:
            with open(aside, "r+b") as stream:  # Windows flushes only what may be written to
                os.fsync(stream.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Gives a path aside where the block makes a folder; at its end it becomes `path`, which must be free or empty.

    Raises:
        OSError: `path` holds something by now; it stays as it is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = aside_of(path)
    try:
        yield aside
        aside.rename(path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_text(path: Path, text: str, *, sync: bool = True) -> None:
    """Write `text` so that `path` holds either the old or the whole new content, whatever happens."""
    # Names of files needn't be Unicode; what can't be encoded is written as an escape.
    write_bytes(path, text.encode("utf-8", errors="backslashreplace"), sync=sync)


def write_bytes(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Write bytes so that `path` holds either the old or the whole new content."""
    with whole_file(path, sync=sync) as aside:
        aside.write_bytes(content)


def copy_whole(source: Path, target: Path, *, sync: bool = False) -> None:
    """Copy a file so that `target` holds either the old or the whole new content."""
    with whole_file(target, sync=sync) as aside:
        shutil.copyfile(source, aside)


def clear_asides(paths: Iterable[Path]) -> None:
    """Remove those of `paths` that killed processes left aside; whoever calls this has their folder alone."""
    for path in list(paths):
        if is_aside(path):
            shutil.rmtree(path, ignore_errors=True) if _is_folder(path) else path.unlink(missing_ok=True)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock that other processes wait for; the kernel lets go of it when this one dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="ascii") as stream:
        lock(stream.fileno())
        yield


def lock(handle: int, *, shared: bool = False, wait: bool = True) -> bool:
    """Lock an open file until it is closed.

    Args:
        handle: descriptor of the file.
        shared: any number may hold it so at the same time.
        wait: until those who hold it let go; without, False says that it is not to be had.

    Raises:
        OSError: with `wait`, the file system knows no locks.
    """
    try:
        _take(handle, shared, wait)
    except OSError:
        if wait:
            raise
        return False
    return True


def _take(handle: int, shared: bool, wait: bool) -> None:
    if fcntl is not None:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        return
    try:
        import msvcrt  # it knows no shared locks: they exclude each other too
    except ImportError:
        raise OSError(errno.ENOLCK, "this system has no locks of files between processes") from None
    msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]


def text_of(path: Path) -> str:
    """The text of a file; "" where there is none, or none that can be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def free_bytes(folder: Path) -> int:
    """What can still be written where a folder is, or will be."""
    place = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    return shutil.disk_usage(place).free
