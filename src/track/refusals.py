"""What a store refuses for good: told once, kept on disk with the reason, and no reason to stop anything.

A store takes a batch whole or not at all, so a batch that is refused is halved until what it objects to stands alone.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from src.common.errors import is_disk_full
from src.common.redaction import redact_text

log = logging.getLogger(__name__)

Entry = dict[str, Any]
Refused = tuple[Entry, Exception]

COME_BACK = (401, 403, 408, 425, 429)  # statuses below 500 that may pass without the entry's being another
MOST_HALVINGS = 64  # requests spent on one batch; a store that refuses everything shall not be asked a thousand times


def status_of(error: Exception) -> int:
    """HTTP status that an error of MLflow's client stands for; 0 for none."""
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        return int(error.get_http_status_code())
    return int(getattr(getattr(error, "response", None), "status_code", 0) or 0)


def is_refusal(error: Exception) -> bool:
    """Whether an entry fails for good: the server understood it and won't have it, or its file is gone."""
    from mlflow.exceptions import MlflowException

    if isinstance(error, FileNotFoundError):
        return True
    if isinstance(error, MlflowException) and error.error_code == "ENDPOINT_NOT_FOUND":
        return False  # a proxy whose server is away says so too
    status = status_of(error)
    return 400 <= status < 500 and status not in COME_BACK


def sieve(items: list[Any], send: Callable[[list[Any]], None]) -> list[tuple[list[Any], Exception]]:
    """Send a batch, and what can be sent of one that is refused; returns what the store won't have, with its reasons.

    Raises:
        Exception: the store is away.
    """
    refused: list[tuple[list[Any], Exception]] = []
    waiting, halvings = [items] if items else [], 0
    while waiting:
        some = waiting.pop()
        try:
            send(some)
        except Exception as error:
            if not is_refusal(error):
                raise
            if len(some) == 1 or halvings >= MOST_HALVINGS:
                refused.append((some, error))
                continue
            halvings += 1
            middle = len(some) // 2
            waiting += [some[middle:], some[:middle]]
    return refused


class Refusals:
    """Keeps what is refused, one file a run, and says so: at once for the first, with a number at the end.

    Args:
        who: refuses, for the message.
    """

    def __init__(self, who: str) -> None:
        self._who = who
        self._lock = threading.Lock()
        self._count = 0

    def keep(self, file: Path, run_id: str, refused: list[Refused]) -> None:
        """Append entries to `file` with their reasons."""
        for entry, error in refused:
            reason = redact_text(f"{type(error).__name__}: {error}")[:500]
            line = json.dumps({"reason": reason, "run": run_id, "entry": entry}, ensure_ascii=False)
            with self._lock:
                file.parent.mkdir(parents=True, exist_ok=True)
                with open(file, "a", encoding="utf-8", errors="backslashreplace") as stream:
                    stream.write(line + "\n")
                self._count += 1
                first = self._count == 1
            if first:
                log.warning("%s refuses an entry of run %s (kept in %s): %s", self._who, run_id, file, reason)

    def sum_up(self) -> None:
        """Say how many there were, where the first was not the only one."""
        with self._lock:
            count, self._count = self._count, 0
        if count > 1:
            log.warning("%s has refused %d entries in all; they are kept in refused.jsonl files", self._who, count)


class Book:
    """Writes to the store, and keeps what it does not take: a store in trouble ends no sweep.

    Args:
        folder: for what is refused, one `refused.jsonl` a run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.refusals = Refusals("the MLflow store")

    def guarded(self, run_id: str, entry: Entry, write: Callable[[], list[Refused]]) -> bool:
        """Do what writes `entry` to a run; false where the store took none of it.

        Raises:
            Exception: the disk is full: that is the sweep's to tell.
        """
        from mlflow.exceptions import MlflowException

        try:
            refused, done = write(), True
        except (MlflowException, OSError) as error:
            if is_disk_full(error):
                raise
            refused, done = [(entry, error)], False
        self.refusals.keep(self._folder / (run_id or "unstarted") / "refused.jsonl", run_id, refused)
        return done
