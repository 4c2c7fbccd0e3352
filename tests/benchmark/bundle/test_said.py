"""What a run says, on terminals of all kinds."""

from __future__ import annotations

import errno
import io
import sys

import pytest

from src.benchmark.bundle.said import say


class Terminal(io.TextIOWrapper):
    """One of an old encoding."""

    def __init__(self, encoding: str) -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding=encoding)


@pytest.mark.parametrize(("encoding", "seen"), [("cp1252", b"4 \xd7 5 ?\n"), ("ascii", b"4 ? 5 ?\n")])
def test_what_a_terminal_can_not_show_is_a_question_mark(
    monkeypatch: pytest.MonkeyPatch, encoding: str, seen: bytes
) -> None:
    terminal = Terminal(encoding)
    monkeypatch.setattr(sys, "stdout", terminal)
    say("4 × 5 …" if encoding == "ascii" else "4 × 5 →")
    assert terminal.bytes.getvalue().replace(b"\r", b"") == seen


def test_without_a_console_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    say("for nobody")


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EINVAL])
def test_a_reader_that_left_is_told_apart_on_every_system(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    class Left(io.StringIO):
        encoding = "utf-8"

        def write(self, text: str) -> int:
            raise OSError(number, "left")

    monkeypatch.setattr(sys, "stdout", Left())
    with pytest.raises(BrokenPipeError):
        say("for nobody")


def test_a_full_disk_below_the_log_is_no_reader_that_left(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        encoding = "utf-8"

        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(OSError, match="No space"):
        say("for nobody")
