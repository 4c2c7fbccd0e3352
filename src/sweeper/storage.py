"""Where a study lives: a local journal by default, SQLite or PostgreSQL by URL.

The journal is locked by the kernel (`flock`), which lets go when a process dies: no stale lock can stop the next
one. The lock also mends what a killed writer left: an unfinished last line would make every later load fail.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock, get_lock_file
from optuna.storages.journal._storage import JournalOperation
from optuna.trial import TrialState

from src.common.errors import UserError
from src.common.redaction import redact_text
from src.common.whole_files import lock
from src.sweeper.reconnect import PatientStorage

STUDY = "sweep"
TABLES_S = 30.0  # for another machine to make them
_TAIL = 1 << 16  # bytes read back at a time while looking for the last whole line


class JournalLock(BaseJournalFileLock):
    """Exclusive lock of a journal file that mends a torn last line while it is held."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: int | None = None

    def acquire(self) -> bool:
        """Wait for the lock; then the file ends in a whole line."""
        stream = os.open(self._path.with_name(self._path.name + ".flock"), os.O_CREAT | os.O_RDWR, 0o644)
        lock(stream)
        self._stream = stream
        mend(self._path)
        return True

    def release(self) -> None:
        """Let go."""
        if self._stream is not None:
            os.close(self._stream)
            self._stream = None


class Journal(JournalFileBackend):
    """A journal that waits for the disk only where something would be lost with the power.

    A process that is killed loses nothing that it wrote. With the machine itself go, at worst, the notes since the last
    parameter or result: who had taken a slot, how far it was, slots laid out. All of them are found or made again.
    """

    waits = True

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append whole lines."""
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        with get_lock_file(self._lock), open(self._file_path, "ab") as stream:
            stream.write(text.encode("utf-8"))
            stream.flush()
            if self.waits and any(_is_precious(log) for log in logs):
                os.fsync(stream.fileno())


def _is_precious(log: dict[str, Any]) -> bool:
    operation = JournalOperation(log["op_code"])
    if operation is JournalOperation.SET_TRIAL_STATE_VALUES:
        return TrialState(log["state"]).is_finished()
    return operation in (JournalOperation.CREATE_STUDY, JournalOperation.SET_TRIAL_PARAM)


@contextlib.contextmanager
def unhurried(storage: BaseStorage) -> Iterator[None]:
    """Write many things of which none is precious, without waiting for the disk."""
    backend = getattr(storage, "_backend", None)
    if not isinstance(backend, Journal):
        yield
        return
    backend.waits = False
    try:
        yield
    finally:
        backend.waits = True


def mend(path: Path) -> int:
    """Cut an unfinished last line off a journal; returns the bytes removed. The caller holds the lock."""
    if not path.is_file():
        return 0
    with open(path, "rb+") as stream:
        size = end = stream.seek(0, os.SEEK_END)
        while end > 0:
            begin = max(end - _TAIL, 0)
            stream.seek(begin)
            cut = stream.read(end - begin).rfind(b"\n")
            if cut >= 0:
                end = begin + cut + 1
                break
            end = begin
        if end != size:
            stream.truncate(end)
    return size - end


def check_end(path: Path) -> None:
    """Refuse a journal whose last whole line was written by nobody here.

    Optuna lets that line pass, and fails at it as soon as anything stands behind it.

    Raises:
        ValueError: it is no JSON.
    """
    if not path.is_file():
        return
    with open(path, "rb") as stream:
        size, length = stream.seek(0, os.SEEK_END), _TAIL
        while True:
            stream.seek(max(size - length, 0))
            *whole, _ = stream.read(min(length, size)).split(b"\n")  # what follows the last line's end is being written
            if len(whole) > 1 or length >= size:
                break
            length *= 2
    if whole:
        json.loads(whole[-1])


def open_storage(url: str | None, journal: Path) -> BaseStorage:
    """The storage at `url`, or the journal where there is none.

    Raises:
        UserError: the URL can't be used.
        ValueError: the journal is damaged; each kind of damage raises in its own way.
    """
    if url is None:
        journal.parent.mkdir(parents=True, exist_ok=True)
        check_end(journal)
        return JournalStorage(Journal(str(journal), lock_obj=JournalLock(journal)))
    try:
        return _opened(url)
    except Exception as error:
        raise UserError(
            f"study.storage can't be opened ({type(error).__name__})",
            value=redact_text(url),
            remedy="sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE (make setup EXTRAS=postgresql)",
        ) from error


def _opened(url: str) -> BaseStorage:
    """The storage at `url`, with its tables: of machines that make them at the same moment all but one fail."""
    from sqlalchemy.exc import DBAPIError, IntegrityError

    deadline = time.monotonic() + TABLES_S
    while True:
        try:
            return PatientStorage(url)  # a connection that broke is found when it is used: the call is made again
        except DBAPIError as error:
            others = isinstance(error, IntegrityError) or "already exists" in str(error.orig)
            if not others or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0.1, 0.5))


def quiet() -> None:
    """Keep Optuna's line per trial out of the terminal: the sweep shows its own."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
