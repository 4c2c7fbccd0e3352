"""The system's `ssh` and `scp`, as the user has set them up: keys, hosts and everything else are theirs.

Nobody is asked for a password: a host that wants one is refused with the remedy. No text of the user's passes through a
shell unquoted, here or there.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.benchmark.bundle.checked import foreign, printable
from src.common.errors import StageError, UserError

ADDRESS = re.compile(
    r"ssh://(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9._-]*)@)?"
    r"(?P<host>[A-Za-z0-9_][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?/?"
)
QUIET = ("BatchMode=yes", "ConnectTimeout=20", "ServerAliveInterval=15", "ServerAliveCountMax=4")
NO_CONNECTION = 255
THERE = Path(__file__).with_name("there.py")
# Runs the program in its arguments, and ends it with all that it started when standard input is closed.
GUARD = """
import os, signal, subprocess, sys, threading
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)
def watch():
    sys.stdin.buffer.read()
    os.killpg(child.pid, signal.SIGKILL)
threading.Thread(target=watch, daemon=True).start()
code = child.wait()
sys.stdout.flush()
os._exit(code if code >= 0 else 1)
"""
LOST = "the same command goes on from what was finished"


@dataclass(frozen=True)
class Host:
    """A device by its address."""

    target: str  # [user@]host, as ssh takes it
    port: int | None
    name: str  # of the host alone


def host_of(address: str) -> Host:
    """A host from `ssh://[user@]host[:port]`.

    Raises:
        UserError: it is no such address.
    """
    found = ADDRESS.fullmatch(address)
    port = int(found["port"]) if found and found["port"] else None
    if found is None or (port is not None and not 0 < port < 65536):
        raise UserError("remote holds what is no address", value=address, remedy="remote=ssh://user@host[:port]")
    host = found["host"].strip("[]")
    return Host(f"{found['user']}@{host}" if found["user"] else host, port, host)


@dataclass
class Link:
    """One device behind ssh."""

    host: Host
    python: str = "python3"  # there
    config: str = ""  # file for ssh's -F; "" = the user's own
    legacy: bool = False  # scp's old protocol, for servers without sftp
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def ask(self, do: str, **data: Any) -> dict[str, Any]:
        """Have `there.py` do something on the device.

        Raises:
            UserError: the device can't be reached, asks for a password, or has no Python.
            StageError: it failed there.
        """
        asked = json.dumps({"do": do, **data})
        script = f"ASKED = {asked!r}\n{THERE.read_text(encoding='utf-8')}".encode()
        code, out, err = self._run(self._ssh(f"{shlex.quote(self.python)} -"), script)
        self._check(code, err)
        try:
            answer: dict[str, Any] = json.loads(out.decode("utf-8").strip().splitlines()[-1])
        except (ValueError, IndexError):
            answer = {}
        if code or not answer:
            raise StageError("remote", self.host.name, _last(err) or f"Python ended with {code} there")
        return answer

    def send(self, source: Path, target: str) -> None:
        """Copy a file to the device.

        Raises:
            UserError: the device can't be reached.
            StageError: it could not be copied.
        """
        self._copy(str(source.absolute()), f"{self._scp_target()}:{target}")

    def fetch(self, source: str, target: Path) -> None:
        """Copy a file from the device; errors as of `send`."""
        self._copy(f"{self._scp_target()}:{source}", str(target.absolute()))

    def follow(self, folder: str, words: Sequence[str], say: Callable[[str], None]) -> tuple[int, str]:
        """Run a program in a folder there, and pass on what it says.

        It ends when this process does: its standard input is then closed.

        Returns:
            Its exit code (255: the link is lost), and the end of what it said on stderr.
        """
        command = f"cd {shlex.quote(folder)} && exec {' '.join(map(shlex.quote, words))}"
        pipe = subprocess.PIPE
        process = subprocess.Popen(self._ssh(command), stdin=pipe, stdout=pipe, stderr=pipe)
        self.running.append(process)
        errors: list[str] = []
        assert process.stdout is not None
        assert process.stderr is not None
        stderr = process.stderr
        reader = threading.Thread(target=lambda: errors.append(stderr.read().decode("utf-8", "replace")), daemon=True)
        reader.start()
        try:
            for line in process.stdout:
                say(line.decode("utf-8", "replace").rstrip())
            code = process.wait()
        finally:
            self._end(process)
        reader.join(5)
        return code, "\n".join(printable(line) for line in "".join(errors).strip().splitlines()[-20:])

    def run_guarded(
        self, folder: str, words: Sequence[str], say: Callable[[str], None] = lambda _: None
    ) -> tuple[int, str]:
        """As `follow`, for a program that doesn't watch its standard input itself."""
        return self.follow(folder, [self.python, "-c", GUARD, *words], say)

    def stop(self) -> None:
        """End what runs."""
        for process in list(self.running):
            with contextlib.suppress(OSError):
                process.kill()

    def _copy(self, source: str, target: str) -> None:
        code, _, err = self._run([*self._scp(), source, target])
        if code and not self.legacy and b"subsystem request failed" in err:
            self.legacy = True
            code, _, err = self._run([*self._scp(), source, target])
        if code:
            self._check(NO_CONNECTION if code == NO_CONNECTION else 0, err)
            raise StageError("remote", self.host.name, f"a file could not be copied: {_last(err)}; {LOST}")

    def _run(self, command: list[str], given: bytes = b"") -> tuple[int, bytes, bytes]:
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
        self.running.append(process)
        try:
            out, err = process.communicate(given)
        finally:
            self._end(process)
        return process.returncode, out, err

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            process.kill()
            process.wait()
        self.running.remove(process)

    def _ssh(self, command: str) -> list[str]:
        port = ["-p", str(self.host.port)] if self.host.port else []
        return [_program("ssh"), *self._options(), *port, "-T", "--", self.host.target, command]

    def _scp(self) -> list[str]:
        port = ["-P", str(self.host.port)] if self.host.port else []
        return [_program("scp"), "-q", *(["-O"] if self.legacy else []), *self._options(), *port, "--"]

    def _scp_target(self) -> str:
        user, at, host = self.host.target.rpartition("@")
        return f"{user}{at}[{host}]" if ":" in host else self.host.target

    def _options(self) -> list[str]:
        return [*(["-F", self.config] if self.config else []), *(word for one in QUIET for word in ("-o", one))]

    def _check(self, code: int, err: bytes) -> None:
        """Raises UserError where there is no connection, or no Python."""
        text = err.decode("utf-8", "replace")
        name = f"ssh://{self.host.target}"
        if code == 127:
            raise UserError(
                "there is no such Python on the device", value=f"{name}: {self.python}", remedy="python=PATH"
            )
        if code != NO_CONNECTION:
            return
        if "Permission denied" in text or "Too many authentication failures" in text:
            raise UserError(
                "the device asks for a password, or takes none of your keys; nobody is asked here",
                value=name,
                remedy=f"ssh-copy-id {self.host.target}, or a key for it in ~/.ssh/config or ssh-agent",
            )
        if "Host key verification failed" in text:
            raise UserError(
                "the device's host key is not known, or has changed",
                value=name,
                remedy=f"check it, and say yes once: ssh {self.host.target}",
            )
        raise UserError("the device can't be reached", value=f"{name}: {_last(err)}", remedy=f"ssh {self.host.target}")


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise UserError(f"{name} is not installed on this machine", remedy="install an OpenSSH client")
    return path


def _last(err: bytes) -> str:
    lines = [line for line in err.decode("utf-8", "replace").splitlines() if line.strip()]
    return foreign(lines[-1])[:300] if lines else ""
