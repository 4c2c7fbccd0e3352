"""Addresses of devices, and what ssh is told."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from src.benchmark.bundle.ssh import Host, Link, host_of
from src.common.errors import UserError


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("ssh://pi5", Host("pi5", None, "pi5")),
        ("ssh://me@pi5.local:2222/", Host("me@pi5.local", 2222, "pi5.local")),
        ("ssh://me@[fe80::1]:22", Host("me@fe80::1", 22, "fe80::1")),
    ],
)
def test_addresses(address: str, host: Host) -> None:
    assert host_of(address) == host


@pytest.mark.parametrize(
    "address",
    [
        "pi5", "http://pi5", "ssh://", "ssh://-oProxyCommand=x", "ssh://-x@pi5", "ssh://pi5:0", "ssh://pi5:70000",
        "ssh://pi5;ls", "ssh://pi5 -x", "ssh://a@b@c", "ssh://$(ls)", "ssh://pi5/folder", "ssh://pi5:x", "ssh://pi5\n",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UserError, match="no address"):
        host_of(address)


@pytest.mark.parametrize(
    ("code", "said", "words"),
    [
        (255, "me@pi5: Permission denied (publickey,password).", "asks for a password"),
        (255, "Host key verification failed.", "host key"),
        (255, "ssh: connect to host pi5 port 22: Connection refused", "can't be reached"),
        (127, "sh: 1: python3: not found", "no such Python"),
    ],
)
def test_why_there_is_no_connection(monkeypatch: pytest.MonkeyPatch, code: int, said: str, words: str) -> None:
    def answered(self: Link, command: list[str], given: bytes = b"") -> tuple[int, bytes, bytes]:
        return code, b"", said.encode()

    monkeypatch.setattr(Link, "_run", answered)
    with pytest.raises(UserError, match=words):
        Link(host_of("ssh://me@pi5")).ask("look", folder="x", files={})


def test_nobody_is_asked_and_nothing_is_an_option_by_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    class Process:
        returncode = 0

        def __init__(self, command: list[str], **_: Any) -> None:
            commands.append(command)

        def communicate(self, given: bytes) -> tuple[bytes, bytes]:
            return b'{"free": 1}', b""

        def poll(self) -> int:
            return 0

    monkeypatch.setattr(subprocess, "Popen", Process)
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    link = Link(Host("me@pi5", 2222, "pi5"), config="/etc/mine")
    assert link.ask("look", folder="; rm -rf /", files={}) == {"free": 1}
    (command,) = commands
    assert command[:3] == ["/bin/ssh", "-F", "/etc/mine"]
    assert "BatchMode=yes" in command
    assert command[-3:] == ["--", "me@pi5", "python3 -"]  # the folder travels as data
