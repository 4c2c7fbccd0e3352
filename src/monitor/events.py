"""What happened in an experiment, as lines of JSON that several processes append to and read from one file.

A line counts once its end is written, so a kill loses at most the line under way; what it left is closed off by the
next writer and passed over by every reader. Who appends holds the lock and has read everything before it: what rests on
the state, such as the next step of a canary, is decided once.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from src.common.whole_files import locked

NAME, LOCK = "events.jsonl", ".events.lock"
Event = dict[str, Any]


class Events:
    """The events of one experiment.

    Args:
        folder: of the experiment.
        apply: called with every event in the order of the file, one's own among them. What it can't read it raises
            ValueError, KeyError, TypeError or AttributeError at; such lines are passed over and counted in `broken`.
    """

    def __init__(self, folder: Path, apply: Callable[[Event], None]) -> None:
        self.path = folder / NAME
        self.broken = 0
        self._lock = folder / LOCK
        self._apply = apply
        self._offset = 0

    def catch_up(self) -> None:
        """Apply what was written since the last look, by whichever process."""
        if not self.path.exists():
            return
        with open(self.path, "rb") as stream:
            stream.seek(self._offset)
            content = stream.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            if line.strip():
                self._read(line)

    @contextlib.contextmanager
    def appending(self) -> Iterator[Callable[[Event], None]]:
        """Hold the lock, with everything read; gives the function that appends an event and applies it."""
        with locked(self._lock):
            self.catch_up()
            yield self._append

    @property
    def size(self) -> int:
        """Bytes read so far."""
        return self._offset

    def _append(self, event: Event) -> None:
        with open(self.path, "ab") as stream:
            torn = stream.tell() > self._offset
            stream.write((b"\n" if torn else b"") + json.dumps(event, separators=(",", ":")).encode() + b"\n")
        self.catch_up()

    def _read(self, line: bytes) -> None:
        try:
            self._apply(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
            self.broken += 1
