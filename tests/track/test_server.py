"""A real tracking server with users and passwords on loopback, files through its proxy; killed and started again."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from src.common.errors import UserError
from src.config.schema import TrackingConfig
from src.track import RemoteTracker, is_local
from tests.conftest import run_command
from tests.services import free_port
from tests.track.flaky import until

pytestmark = pytest.mark.slow
PASSWORD = "a-long-passphrase-of-the-test"
TRIALS = 5


class Server:
    """`mlflow server --app-name basic-auth` in a folder, on one port for its whole life."""

    def __init__(self, folder: Path) -> None:
        pytest.importorskip("flask_wtf", reason="make setup installs what the server's user accounts need")
        self.folder, self.port = folder, free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        (folder / "auth.ini").write_text(
            f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{folder}/auth.db\n"
            "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
            "grant_default_workspace_access = false\n"
        )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--host", "127.0.0.1"),
            *("--port", str(self.port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{self.folder}/server.db"),
            *("--artifacts-destination", str(self.folder / "files")),
        ]
        env = {
            **os.environ,
            "MLFLOW_AUTH_CONFIG_PATH": str(self.folder / "auth.ini"),
            "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
            "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "of the test",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                command, env=env, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )
        until(self._answers, 120)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "server.log").read_text()
        # Its health says nothing of its database, which it makes at the first request.
        question = urllib.request.Request(f"{self.uri}/api/2.0/mlflow/experiments/get?experiment_id=0")
        question.add_header("Authorization", "Basic " + base64.b64encode(f"admin:{PASSWORD}".encode()).decode())
        with suppress(OSError), urllib.request.urlopen(question, timeout=60) as answer:
            return bool(answer.status == 200)
        return False

    def stop(self) -> None:
        """Kill it with all its workers."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, 9)
            self.process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("server"))
    made.start()
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)


def tracking(uri: str, experiment: str) -> TrackingConfig:
    return TrackingConfig(name="server", uri=uri, experiment=experiment, system_interval_s=0.5)


@pytest.fixture(autouse=True)
def askers(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of the threads that send requests."""
    import requests

    found: set[str] = set()
    send = requests.Session.send

    def noted(session: requests.Session, request: Any, **options: Any) -> requests.Response:
        found.add(threading.current_thread().name)
        return send(session, request, **options)

    monkeypatch.setattr(requests.Session, "send", noted)
    return found


def sweep(tracker: RemoteTracker, folder: Path, epoch_s: float = 0.0) -> list[str]:
    """A sweep that trains nothing: its runs' ids."""
    weights = folder / "best.pt"
    weights.write_bytes(b"x" * 3_000_000)
    parent = tracker.start("sweep")
    ids = [parent.run_id]
    for n in range(TRIALS):
        run = tracker.start(f"{n:04d}", parent=parent.run_id, tags={"sweep": "s"}, monitor=True)
        run.params({f"key{i}": i for i in range(150)})
        for epoch in range(1, 4):
            run.metrics({"lr": 0.1, "val/mAP50-95": epoch / 10}, step=epoch)
            time.sleep(epoch_s)
        run.files([weights], "weights")
        run.end()
        ids.append(run.run_id)
    parent.end()
    return ids


def stored(uri: str, experiment: str) -> list[Any]:
    from mlflow import MlflowClient

    client: Any = MlflowClient(uri)
    found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    for run in found:
        if run.info.run_name != "sweep":
            assert len(run.data.params) == 150
            steps = [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "val/mAP50-95")]
            assert steps == [(1, 0.1), (2, 0.2), (3, 0.3)]
            (file,) = client.list_artifacts(run.info.run_id, "weights")
            assert file.file_size == 3_000_000
            assert run.info.artifact_uri.startswith("mlflow-artifacts:"), "through the server's proxy"
    return sorted(found, key=lambda run: (run.info.run_name != "sweep", run.info.run_name))


def check(uri: str, experiment: str) -> None:
    """Every record of `sweep` is there, once."""
    runs = stored(uri, experiment)
    assert [r.info.run_name for r in runs] == ["sweep", *(f"{n:04d}" for n in range(TRIALS))]
    assert {r.info.status for r in runs} == {"FINISHED"}
    assert {r.data.tags["mlflow.parentRunId"] for r in runs[1:]} == {runs[0].info.run_id}


def test_a_server_with_accounts_gets_everything(server: Server, tmp_path: Path) -> None:
    tracker = RemoteTracker(tracking(server.uri, "accounts"), tmp_path / "o")
    ids = sweep(tracker, tmp_path, epoch_s=0.4)
    tracker.close(400)
    known = {tracker.known_as(run_id) for run_id in ids}
    assert known == {run.info.run_id for run in stored(server.uri, "accounts")}
    check(server.uri, "accounts")
    assert any(name.startswith("system/") for name in stored(server.uri, "accounts")[1].data.metrics)


def test_a_wrong_password_is_told_at_once(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong-canary")
    with pytest.raises(UserError, match="user or the password") as told:
        RemoteTracker(tracking(server.uri, "accounts"), tmp_path / "o")
    assert "canary" not in str(told.value)


def test_a_server_that_is_away_for_a_whole_sweep_gets_every_record_afterwards(
    server: Server, tmp_path: Path, askers: set[str]
) -> None:
    server.stop()
    tracker = RemoteTracker(tracking(server.uri, "away"), tmp_path / "o")
    ids = sweep(tracker, tmp_path)
    tracker.close(400)
    assert askers == {"tracking"}, "no trial's own thread waits for a request"
    assert all(is_local(run_id) for run_id in ids)
    server.start()
    words = [f"outputs={tmp_path}/o", f"tracking.uri={server.uri}", "tracking.experiment=away"]
    done = run_command("src.track", *words, timeout=120)
    assert done.returncode == 0, done.stderr
    check(server.uri, "away")
    assert run_command("src.track", *words, timeout=120).returncode == 0
    check(server.uri, "away")


def test_a_server_that_is_killed_in_the_middle_gets_every_record_once(
    server: Server, tmp_path: Path, askers: set[str]
) -> None:
    tracker = RemoteTracker(tracking(server.uri, "killed"), tmp_path / "o")
    killer = threading.Timer(1.0, server.stop)
    killer.start()
    sweep(tracker, tmp_path, epoch_s=0.2)
    killer.join()
    tracker.close(400)
    assert askers == {"tracking"}, "no trial's own thread waits for a request"
    server.start()
    again = RemoteTracker(tracking(server.uri, "killed"), tmp_path / "o")
    again.close(400)
    check(server.uri, "killed")


class Front:
    """Stands before the server. Its `fault`: `silent` never answers, `slow` lets wait, `broken` says 500; "" none."""

    def __init__(self, port: int) -> None:
        self.fault, self._port = "", port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._held: list[socket.socket] = []
        self.uri = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def mend(self) -> None:
        """Pass everything on from now, and end what hangs."""
        self.fault = ""
        for one in self._held:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        while True:
            one, _ = self._listener.accept()
            self._held.append(one)
            threading.Thread(target=self._answer, args=(one, self.fault), daemon=True).start()

    def _answer(self, one: socket.socket, fault: str) -> None:
        if fault == "silent":
            return
        with suppress(OSError):
            if fault == "broken":
                one.recv(65536)
                one.sendall(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                one.close()
                return
            if fault == "slow":
                time.sleep(2.0)
            with socket.create_connection(("127.0.0.1", self._port)) as other:
                threading.Thread(target=pump, args=(other, one), daemon=True).start()
                pump(one, other)


def pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while block := source.recv(65536):
            target.sendall(block)
        target.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("fault", ["silent", "slow", "broken"])
def test_no_trial_waits_for_a_server_that_is_there_and_does_not_answer(
    server: Server, tmp_path: Path, fault: str, askers: set[str]
) -> None:
    front = Front(server.port)
    front.fault = fault
    cfg = tracking(front.uri, fault)
    tracker = RemoteTracker(cfg, tmp_path / "o")
    ids = sweep(tracker, tmp_path)
    tracker.close(1.0)
    assert askers == {"tracking"}, "no trial's own thread waits for a request"
    assert fault == "slow" or all(is_local(run_id) for run_id in ids)
    front.mend()
    again = RemoteTracker(cfg, tmp_path / "o")
    again.close(400)
    check(server.uri, fault)


def test_names_in_any_script_reach_a_server(server: Server, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    from tests.track.test_names import ODD

    tracker = RemoteTracker(tracking(server.uri, "names"), tmp_path / "o")
    run = tracker.start("t", tags=dict.fromkeys(ODD, "v" * 9000))
    run.metrics({f"class/{name}": i for i, name in enumerate(ODD)})
    run.params({"space": dict.fromkeys(ODD, "v" * 9000)})
    run.end()
    tracker.close(120)
    client: Any = MlflowClient(server.uri)
    found = client.get_run(tracker.known_as(run.run_id))
    assert found.data.metrics["class/安全帽"] == 0
    assert found.data.metrics["class/反光衣"] == 1
    assert {v for k, v in found.data.metrics.items() if k.startswith("class/")} == set(range(len(ODD)))
    assert len(found.data.params) == len(ODD)
    assert list(tmp_path.rglob("refused.jsonl")) == []
