"""Processes that die: what still serves goes on, and none outlives the one that holds them."""

from __future__ import annotations

import itertools
import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import uvicorn
from uvicorn.config import STARTUP_FAILURE

from src.common.errors import UserError
from src.records.schema import Artifact
from src.serve import supervisor
from src.serve.live import laid_down
from src.serve.metrics import SHARED, Metrics, forget
from src.serve.options import LiveConfig, ServeArgs
from src.serve.supervisor import Supervisor, Worker
from tests.serve.services import Running
from tests.serve.test_process import workers_of


class Fake(Worker):
    """A worker without a process, dead from the beginning."""

    exitcode = STARTUP_FAILURE
    pid = 0
    made = 0

    def __init__(self, config: Any, sockets: Any) -> None:
        type(self).made += 1

    def start(self) -> None:
        """Nothing."""

    def lives(self, patience_s: float) -> bool:
        """No."""
        return False

    def kill(self) -> None:
        """Nothing."""

    def join(self) -> None:
        """Nothing."""


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    """A supervisor whose processes die at once."""
    monkeypatch.setattr(supervisor, "Worker", Fake)
    monkeypatch.setattr(Fake, "made", 0)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    made = Supervisor(uvicorn.Config("nowhere:app", workers=1), [])
    made.processes = [Fake(made.config, [])]
    return made


def test_a_service_that_never_served_ends_when_it_cannot_start(held: Supervisor) -> None:
    held.keep_subprocess_alive()
    assert held.should_exit.is_set()
    assert Fake.made == 1
    assert not held.went_well


def test_one_that_served_goes_on_and_tries_again_less_and_less_often(
    held: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, held.served = 0.0, True
    monkeypatch.setattr(time, "monotonic", lambda: now)
    starts = []
    for tick in range(1000):
        now, before = tick / 10, Fake.made
        held.keep_subprocess_alive()
        starts += [now] if Fake.made > before else []
    assert not held.should_exit.is_set()
    pauses = [b - a for a, b in itertools.pairwise(starts)]
    assert pauses[:4] == pytest.approx([2, 4, 8, 16], abs=0.3)
    assert max(pauses) == pytest.approx(supervisor.MOST_WAIT_S, abs=0.3)


def test_what_a_dead_process_said_of_now_is_not_said_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from prometheus_client import values

    monkeypatch.setenv(SHARED, str(tmp_path))
    monkeypatch.setattr(values, "ValueClass", values.MultiProcessValue(lambda: 4711))
    dead = Metrics()
    dead.waiting.set(7)
    dead.watched({"drifted:brightness": 1.0})
    dead.answered("/predict", 200, 0.1)
    assert b"detsweep_queue 7.0" in dead.text()[0]
    forget(4711)
    text = dead.text()[0].decode()
    assert "detsweep_queue 7.0" not in text
    assert 'what="drifted:brightness"} 1.0' not in text
    assert 'detsweep_requests_total{path="/predict",status="200"} 1.0' in text, "what it counted still counts"


@pytest.mark.slow
def test_processes_end_with_the_one_that_holds_them(onnx: Artifact, tmp_path: Path) -> None:
    service = Running(tmp_path / "log", f"model={onnx.path}", "workers=2")
    try:
        workers = [psutil.Process(pid) for pid in workers_of(service)]
        service.process.kill()
        _, living = psutil.wait_procs(workers, timeout=20)
        assert len(workers) == 2
        assert not living
        assert service.get("/v2/health/live")[0] == 0, "nobody holds the port"
    finally:
        service.kill()


@pytest.mark.slow
def test_a_process_lost_while_the_registry_is_away_does_not_end_the_service(onnx: Artifact, tmp_path: Path) -> None:
    from src.promote.registry import Registry
    from tests.serve.registered import register

    store = tmp_path / "store" / "mlflow.db"
    store.parent.mkdir()
    uri = f"sqlite:///{store}"
    Registry(uri, "detsweep").promote(register(uri, onnx, tmp_path))
    words = [f"tracking.uri={uri}", f"outputs={tmp_path}", "workers=2"]
    service = Running(tmp_path / "log", *words)
    try:
        deadline = time.monotonic() + 120
        while service.log.read_text().count("INFO serving") < 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        away = store.parent.rename(tmp_path / "away")
        store.parent.touch()  # a new process would begin another store there
        os.kill(workers_of(service)[0], signal.SIGKILL)
        while "startup failed" not in service.log.read_text():
            assert time.monotonic() < deadline, service.log.read_text()
            time.sleep(0.1)
        time.sleep(2)
        assert service.get("/v2/health/ready")[0] == 200, service.log.read_text()
        store.parent.unlink()
        away.rename(store.parent)
        while len(workers_of(service)) < 2 or service.log.read_text().count("INFO serving") < 3:
            assert time.monotonic() < deadline + 120, service.log.read_text()
            time.sleep(0.1)
        assert service.end() == 0, service.log.read_text()
    finally:
        service.kill()


@pytest.mark.slow
def test_a_comparison_keeps_its_versions_when_an_alias_moves_and_a_process_is_lost(
    onnx: Artifact, images: list[str], tmp_path: Path
) -> None:
    from src.promote.registry import Registry
    from tests.serve.registered import register

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    old, new = (register(uri, onnx, tmp_path) for _ in range(2))
    registry = Registry(uri, "detsweep")
    registry.promote(old)
    words = [f"tracking.uri={uri}", f"outputs={tmp_path}", f"live.folder={tmp_path}/live", "workers=2"]
    service = Running(tmp_path / "log", *words, f"live.challenger=models:/detsweep/{new}", "live.share=0.001")
    try:
        registry.promote(new)
        lost = workers_of(service)
        for pid in lost:
            os.kill(pid, signal.SIGKILL)
        deadline, content = time.monotonic() + 120, Path(images[0]).read_bytes()
        while len(workers_of(service)) < 2 or set(workers_of(service)) & set(lost):
            assert time.monotonic() < deadline, service.log.read_text()
            time.sleep(0.1)
        while (answer := service.get("/predict", content))[0] != 200:
            assert time.monotonic() < deadline, service.log.read_text()
            time.sleep(0.1)
        assert answer[1]["model"]["version"] == old
        assert service.end() == 0
    finally:
        service.kill()


@pytest.mark.parametrize(
    ("changed", "named"),
    [({"mode": "evil"}, "live.mode"), ({"share": 2.0}, "live.share"), ({"folder": "/dev/null/x"}, "live.folder")],
)
def test_a_comparison_that_makes_no_sense_is_refused_before_a_process_is_started(
    changed: dict[str, Any], named: str, onnx: Artifact, tmp_path: Path
) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(Path(onnx.path).read_bytes())
    live = LiveConfig(**{"challenger": str(other), "folder": str(tmp_path / "live"), **changed})
    with pytest.raises(UserError, match=named):
        laid_down(ServeArgs(model=onnx.path, live=live))
    assert not (tmp_path / "live").exists()
