"""A hostile client: starts a service, does one hostile thing to it, and judges answers, memory and what is left open.

    python -m tests.hostile.visitor HOME NAME

Exit 2 where the service refused, as a command does that refuses; 0 where it answered what is odd but sound; 1 with
what is wrong.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import psutil

from deploy.services import free_port
from src.serve.options import ServeArgs
from tests.hostile.models import network
from tests.serve.wrong import BYTES, PIXELS, saved

SIDE, MODEL = 32, "model.onnx"
MEMORY = 220e6  # bytes that a visit may add: `max_held`, and what two pictures take while they are decoded
HELD, TIME_S, CONNECTIONS = 100_000_000, 1.0, 200
INSIDE = ("Traceback", 'File "', "/src/", "site-packages", "Error:")


@dataclass(frozen=True)
class Reply:
    """An answer; status 0 = the connection was closed without one."""

    status: int
    body: bytes = b""

    @property
    def kind(self) -> str:
        """The word of a refusal; "" where it is none."""
        return str(self.json.get("kind", "")) if isinstance(self.json, dict) else ""

    @property
    def json(self) -> Any:
        """Its content; None where it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass
class Visited:
    """A service that runs, and what became of the visit."""

    port: int
    pid: int
    wrong: list[str] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)

    def connect(self) -> socket.socket:
        """A new connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=8)

    def send(self, content: bytes) -> Reply:
        """Send bytes as they are, and wait for the first answer."""
        with self.connect() as one:
            with suppress(OSError):  # it may answer and close before it has read everything
                one.sendall(content)
            return self.note(read(one))

    def note(self, reply: Reply) -> Reply:
        """Remember an answer for the judgement."""
        self.replies.append(reply)
        return reply

    def process(self) -> psutil.Process:
        """Of the service."""
        return psutil.Process(self.pid)

    def peak(self) -> int:
        """Most memory that it ever had, bytes."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        return 1024 * int(next(line for line in text.splitlines() if line.startswith("VmHWM")).split()[1])


def request(path: str, content: bytes, *fields: str, method: str = "POST", length: object = None) -> bytes:
    """The bytes of a request, with the length that it claims."""
    size = len(content) if length is None else length
    lines = [f"{method} {path} HTTP/1.1", "Host: a", f"Content-Length: {size}", *fields]
    return "\r\n".join([*lines, "", ""]).encode() + content


def read(one: socket.socket) -> Reply:
    """One answer of a connection, and nothing of the next."""
    head, body = b"", b""
    with suppress(OSError):
        while not head.endswith(b"\r\n\r\n") and (got := one.recv(1)):
            head += got
        fields = {k.strip().lower(): v for k, _, v in (line.partition(b":") for line in head.split(b"\r\n")[1:])}
        left = int(fields.get(b"content-length", b"0"))
        while len(body) < left and (got := one.recv(left - len(body))):
            body += got
    return Reply(int(head.split(b" ", 2)[1]), body) if head else Reply(0)


@contextmanager
def service(home: Path) -> Iterator[Visited]:
    """A service of a small network, in a fork of this process."""
    (home / "in" / MODEL).write_bytes(network(SIDE))
    port = free_port()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        _serve(home, port)
    found = Visited(port, pid)
    try:
        _wait(found)
        yield found
        os.kill(pid, signal.SIGTERM)
        found.wrong += _ended(pid)
    finally:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _serve(home: Path, port: int) -> NoReturn:
    from src.serve.process import run

    log = os.open(home / "tmp" / "service.log", os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    limits = ServeArgs(
        model=str(home / "in" / MODEL),
        port=port,
        threads=1,
        queue=8,
        max_bytes=BYTES,
        max_pixels=PIXELS,
        max_held=HELD,
        max_connections=CONNECTIONS,
        timeout_s=TIME_S,
        drain_s=3,
        outputs=str(home / "outputs"),
    )
    code = 1
    try:
        code = run(limits)
    finally:
        os._exit(code)


def _wait(found: Visited) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with suppress(OSError), found.connect() as one:
            one.sendall(request("/v2/health/ready", b"", method="GET"))
            if read(one).status == 200:
                return
        time.sleep(0.05)
    raise RuntimeError("the service does not start")


def _ended(pid: int) -> list[str]:
    deadline = time.monotonic() + 6
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return [f"the service ended with {code}"] if code else []
        time.sleep(0.02)
    return ["the service did not end"]


def judged(found: Visited, before: tuple[int, int], home: Path) -> list[str]:
    """What is wrong after a visit."""
    good = found.send(request("/predict", saved("PNG", 64)))
    found.replies.pop()
    added, deadline = found.peak() - before[0], time.monotonic() + 3
    while (left := found.process().num_fds() - before[1]) > 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    wrong = [
        (good.status != 200, f"a sound picture is answered with {good.status} afterwards"),
        (added > MEMORY, f"{added / 1e6:.0f} MB more memory"),
        (left > 3, f"{left} files or connections are still open"),
        ("Traceback" in (home / "tmp" / "service.log").read_text(), "a traceback in the log"),
    ]
    return [text for is_so, text in wrong if is_so] + [w for reply in found.replies for w in _judged(reply)]


def _judged(reply: Reply) -> Iterator[str]:
    text = reply.body.decode(errors="replace")
    if any(word in text for word in INSIDE):
        yield f"its inside reaches the client: {text[:80]}"
    if reply.status >= 400 and (not reply.kind or not isinstance(reply.json.get("error"), str)):
        yield f"{reply.status} is no error of a kind: {text[:80]}"
    if reply.status >= 500 and reply.status not in (503, 504):
        yield f"status {reply.status}"


def wanted(found: Visited, expected: Sequence[tuple[int, str]]) -> list[str]:
    """Replies that are not as expected."""
    return [f"{r.status} {r.kind!r} instead of {expected}" for r in found.replies if (r.status, r.kind) not in expected]


def main() -> int:
    """Run one visit."""
    from tests.hostile.served import VISITS

    home, visit = Path(sys.argv[1]), VISITS[sys.argv[2]]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with service(home) as found:
        before = found.peak(), found.process().num_fds()
        visit.act(found)
        found.wrong += wanted(found, visit.expected) + judged(found, before, home)
    if found.wrong:
        print("\n".join(found.wrong), file=sys.stderr)
        return 1
    if all(reply.status == 200 for reply in found.replies):
        return 0
    print(
        f"error: the service refuses: {', '.join(sorted({f'{r.status} {r.kind}' for r in found.replies}))}",
        file=sys.stderr,
    )
    return 2


if __name__ == "__main__":
    sys.exit(main())
