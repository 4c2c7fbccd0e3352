"""The server that the project starts is for this machine alone, or demands a password."""

from __future__ import annotations

import importlib.util
import os
import signal
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from src.common.errors import UserError
from src.track.ui import PASSWORD, UiArgs, is_local, server_command
from tests.conftest import ROOT, Command
from tests.services import free_port


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_addresses_of_this_machine_need_no_password(host: str, tmp_path: Path) -> None:
    assert is_local(host)
    command, _ = server_command(UiArgs(host=host), tmp_path)
    assert command[command.index("--host") + 1] == host
    assert "--app-name" not in command


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.0.2.1", "example.org", "127.0.0.1.example.org", "", "2130706433"]
)
@pytest.mark.parametrize("password", ["", "short", "with\nnewline-in-it"])
def test_other_addresses_are_refused_without_a_password(
    host: str, password: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSWORD, password)
    with pytest.raises(UserError, match=PASSWORD):
        server_command(UiArgs(host=host), tmp_path)
    assert not list(tmp_path.iterdir())


def test_with_a_password_the_server_demands_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD, "a-100%-long-password")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    command, environment = server_command(UiArgs(host="0.0.0.0"), tmp_path)
    assert command[-2:] == ["--app-name", "basic-auth"]
    assert "a-100%-long-password" not in " ".join([*command, *environment.values()])
    settings = Path(environment["MLFLOW_AUTH_CONFIG_PATH"])
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600
    assert "admin_password = a-100%%-long-password" in settings.read_text()
    assert "NO_PERMISSIONS" in settings.read_text()


def test_make_ui_goes_through_this_command() -> None:
    recipe = (ROOT / "Makefile").read_text().split("\nui:", 1)[1].split("\n\n")[0]
    assert "-m src.track.ui" in recipe
    assert "mlflow " not in recipe.split("##", 1)[1].split("\n", 1)[1]


def test_the_refusal_ends_in_2(command: Command) -> None:
    done = command("src.track.ui", "host=0.0.0.0", timeout=60)
    assert done.returncode == 2
    assert PASSWORD in done.stderr


def listening(group: int) -> set[str]:
    """Addresses that processes of a group listen on, from the kernel's tables."""
    inodes = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(process.name)) == group:
                inodes |= {str(fd.readlink()) for fd in (process / "fd").iterdir()}
        except OSError:
            continue
    found = set()
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                found.add(fields[1].split(":")[0])
    return found


def status(port: int, path: str = "/api/2.0/mlflow/experiments/search?max_results=1") -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def served(tmp_path: Path, *words: str, **env: str) -> tuple[set[str], int]:
    """Start the command; the addresses it listens on, and what it answers to a stranger."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "src.track.ui", f"port={port}", f"outputs={tmp_path}", *words],
        cwd=ROOT,
        env={**os.environ, **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 120
        while not (answer := status(port)) and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.5)
        return listening(process.pid), answer
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
def test_the_server_listens_on_this_machine_alone(tmp_path: Path) -> None:
    addresses, answer = served(tmp_path)
    assert addresses == {"0100007F"}, "127.0.0.1, as the kernel writes it"
    assert answer == 200


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("flask_wtf") is None, reason="needs the extra auth")
def test_on_other_addresses_a_stranger_is_turned_away(tmp_path: Path) -> None:
    addresses, answer = served(tmp_path, "host=0.0.0.0", **{PASSWORD: "a-long-password"})
    assert "00000000" in addresses
    assert answer == 401
