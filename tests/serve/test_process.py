"""The service as processes: what it imports, how it ends, what a kill costs, slow clients, a moving alias."""

from __future__ import annotations

import itertools
import os
import re
import signal
import socket
import threading
import time
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest

from src.records.schema import Artifact
from tests.conftest import run_command
from tests.serve.services import Running

CHANGES = 100  # of the alias, under load


@pytest.fixture
def content(images: list[str]) -> bytes:
    return Path(images[0]).read_bytes()


def test_it_holds_no_torch_and_ends_in_0_with_what_is_under_way(onnx: Artifact, content: bytes, tmp_path: Path) -> None:
    service = Running(tmp_path / "log", f"model={onnx.path}", "threads=1", "timeout_s=1")
    try:
        assert service.get("/predict", content)[0] == 200
        libraries = {Path(m.path).name for m in psutil.Process(service.process.pid).memory_maps()}
        assert not [name for name in libraries if "torch" in name]
        silent = socket.create_connection(("127.0.0.1", service.port))
        slow = socket.create_connection(("127.0.0.1", service.port))
        slow.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc")
        slow.settimeout(10)
        silent.settimeout(10)
        assert b" 408 " in slow.recv(1000)
        assert silent.recv(100) == b"", "a connection without a request is closed"
        assert service.end() == 0, service.log.read_text()
    finally:
        service.kill()
    assert "Traceback" not in service.log.read_text()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["model=nowhere.onnx"], "model names a file that does not exist"),
        (["model=models:/detsweep@champion"], "no such model"),
        (["model=models:/a/b/c"], "no address"),
        (["host=0.0.0.0"], "DETSWEEP_SERVE_TOKEN"),
        (["port=99999"], "port"),
    ],
)
def test_wrong_arguments_end_in_2(words: list[str], named: str, tmp_path: Path) -> None:
    done = run_command("src.serve", *words, f"outputs={tmp_path}", MLFLOW_TRACKING_URI="", DETSWEEP_SERVE_TOKEN="")
    assert done.returncode == 2, done.stdout + done.stderr
    assert named in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_the_others_answer(onnx: Artifact, content: bytes, tmp_path: Path) -> None:
    stop = threading.Event()
    service = Running(tmp_path / "log", f"model={onnx.path}", "workers=2")
    try:
        answers: list[int] = []

        def ask() -> None:
            while not stop.is_set():
                answers.append(service.get("/predict", content)[0])

        clients = [threading.Thread(target=ask) for _ in range(4)]
        for client in clients:
            client.start()
        time.sleep(2)
        workers = workers_of(service)
        os.kill(workers[0], signal.SIGKILL)
        deadline = time.monotonic() + 60
        while len(workers_of(service)) < 2 or set(workers_of(service)) == set(workers):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        time.sleep(5)
        stop.set()
        for client in clients:
            client.join(40)
        lost = [status for status in answers if status != 200]
        assert len(lost) <= len(clients), f"only what was under way is lost: {lost}"
        assert answers[-1] == 200
        assert service.end() == 0, service.log.read_text()
    finally:
        stop.set()
        service.kill()


@pytest.mark.slow
@pytest.mark.parametrize("words", [["threads=1"], ["workers=2"]])
def test_the_end_under_load_loses_nothing_that_was_connected(
    words: list[str], onnx: Artifact, content: bytes, tmp_path: Path
) -> None:
    service, told = Running(tmp_path / "log", f"model={onnx.path}", *words), Told()
    clients = [threading.Thread(target=told.ask, args=(service.port, content, kept)) for kept in [True, False] * 12]
    try:
        for client in clients:
            client.start()
        time.sleep(1.5)
        assert service.end() == 0, service.log.read_text()
    finally:
        told.stop.set()
        service.kill()
    for client in clients:
        client.join(40)
    assert not told.lost
    assert set(told.statuses) == {200}
    assert len(told.statuses) > len(clients)
    assert told.said_close, "who keeps its connection is told that it ends"
    assert "Traceback" not in service.log.read_text()


class Told:
    """What clients of a service that ends were told; each asks until it finds nobody there."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.statuses: list[int] = []
        self.lost: list[str] = []
        self.said_close = 0

    def ask(self, port: int, content: bytes, kept: bool) -> None:
        """Send pictures, over one connection or a new one for each."""
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        while not self.stop.is_set():
            if connection.sock is None:
                try:
                    connection.connect()
                except OSError:  # the service is gone: nothing was lost
                    return
            try:
                connection.request("POST", "/predict", content)
                answer = connection.getresponse()
                answer.read()
            except OSError as error:
                self.lost.append(f"{kept=} {error!r}")
                return
            self.statuses.append(answer.status)
            self.said_close += answer.getheader("connection") == "close"
            if not kept:
                connection.close()


def workers_of(service: Running) -> list[int]:
    """The processes that answer."""
    children = psutil.Process(service.process.pid).children()
    living = [c for c in children if c.status() != psutil.STATUS_ZOMBIE]
    return [c.pid for c in living if "resource_tracker" not in " ".join(c.cmdline())]


@pytest.mark.slow
def test_many_connections_are_turned_away_and_hold_nothing(onnx: Artifact, content: bytes, tmp_path: Path) -> None:
    service = Running(tmp_path / "log", f"model={onnx.path}", "max_connections=50", "timeout_s=5")
    try:
        before = psutil.Process(service.process.pid).memory_info().rss
        held = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(900)]
        turned = held[-1]
        turned.settimeout(10)
        assert b" 503 " in turned.recv(500)
        for one in held:
            one.close()
        time.sleep(1)
        assert service.get("/predict", content)[0] == 200
        assert psutil.Process(service.process.pid).memory_info().rss - before < 100e6
        assert service.end() == 0
    finally:
        service.kill()


@pytest.mark.slow
def test_the_alias_is_followed_without_a_lost_request(onnx: Artifact, content: bytes, tmp_path: Path) -> None:
    from src.promote.registry import Registry
    from tests.serve.registered import register

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    versions = [register(uri, onnx, tmp_path) for _ in range(2)]
    registry = Registry(uri, "detsweep")
    registry.promote(versions[0])
    words = ["model=models:/detsweep@champion", "poll_s=0.1", f"tracking.uri={uri}", f"outputs={tmp_path}"]
    stop = threading.Event()
    service = Running(tmp_path / "log", *words)
    try:
        answers: list[tuple[int, str]] = []

        def ask() -> None:
            while not stop.is_set():
                status, said = service.get("/predict", content)
                answers.append((status, said["model"]["version"] if status == 200 else ""))

        clients = [threading.Thread(target=ask) for _ in range(3)]
        for client in clients:
            client.start()
        for turn in range(CHANGES):
            wanted = versions[turn % 2]
            registry.promote(wanted)
            deadline, seen_before = time.monotonic() + 60, len(answers)
            while not any(version == wanted for _, version in answers[seen_before:]):  # the change was followed
                assert time.monotonic() < deadline, service.log.read_text()
                time.sleep(0.02)
        stop.set()
        for client in clients:
            client.join(40)
        assert {status for status, _ in answers} == {200}, service.log.read_text()
        seen = [version for _, version in answers]
        changes = sum(a != b for a, b in itertools.pairwise(seen))
        assert set(seen) == set(versions)
        assert changes >= CHANGES - 1
        assert service.end() == 0, service.log.read_text()
        assert not re.findall(r"Traceback", service.log.read_text())
    finally:
        stop.set()
        service.kill()
