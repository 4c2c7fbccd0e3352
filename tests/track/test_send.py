"""What waits for a server that is away goes as soon as it is back."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from src.track import send
from src.track.send import Sender


class Spool:
    """One folder, until it is sent."""

    def __init__(self) -> None:
        self.folders = ["folder"]

    def waiting(self) -> list[str]:
        return list(self.folders)

    def left(self) -> int:
        return len(self.folders)


def test_an_attempt_that_fails_late_does_not_hide_a_server_that_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server came back after that attempt had begun: at the end of a run it is asked once more."""
    monkeypatch.setattr(send, "PAUSES_S", (0.01, 60.0))
    spool: Any = Spool()
    begun, fail = threading.Event(), threading.Event()
    attempts: list[int] = []

    def connect() -> tuple[Any, str]:
        attempts.append(len(attempts))
        if len(attempts) == 2:
            begun.set()
            fail.wait(20)
        if len(attempts) < 3:
            raise ConnectionError("away")
        return None, "1"

    monkeypatch.setattr(Sender, "_send", lambda self, folder: spool.folders.remove(folder))
    sender = Sender(spool, connect)
    try:
        assert begun.wait(20)
        threading.Timer(0.2, fail.set).start()
        assert sender.drain(20, 20) == 0
    finally:
        sender.stop()
