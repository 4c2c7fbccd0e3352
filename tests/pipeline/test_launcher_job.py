"""A worker as a launcher's job: what it is given, how it is stopped, and that it does not outlive its job."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra.core.hydra_config import HydraConfig

from src.machine.environment import cores
from src.pipeline import launcher_job
from src.pipeline.launcher_job import WorkerJob, granted
from tests.conftest import ROOT

# Stands in for `python -m src.run`: notes what it was given, then waits for SIGTERM when asked to.
STANDIN = """
import json, os, signal, sys, time
names = ("DETSWEEP_WORKER", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
def leave(*_):
    open(sys.argv[1] + ".left", "w").close()
    sys.exit(130)
signal.signal(signal.SIGTERM, leave)
open(sys.argv[1], "w").write(json.dumps([sys.argv[2:], *[os.environ.get(n) for n in names]]))
if "wait" in sys.argv:
    time.sleep(60)
    open(sys.argv[1] + ".waited", "w").close()
"""


@pytest.fixture(autouse=True)
def third_job(monkeypatch: pytest.MonkeyPatch) -> None:
    node = SimpleNamespace(job=SimpleNamespace(num=2))
    monkeypatch.setattr(HydraConfig, "get", staticmethod(lambda: node))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "standin.py").write_text(STANDIN)
    return tmp_path


def job(folder: Path, *words: str, threads: int = 3, gpus: tuple[int, ...] = ()) -> WorkerJob:
    given = (str(folder / "given"), *words)
    return WorkerJob("standin", given, str(folder), str(folder), str(folder / "stop"), threads, gpus)


def test_the_worker_gets_its_number_threads_and_gpu(folder: Path) -> None:
    assert job(folder, "lr=1,2", gpus=(4, 7))(None) == 0
    assert (folder / "given").read_text() == '[["lr=1,2", "threads=3"], "2", "3", "4"]'
    assert (folder / "2.log").is_file()


def test_the_exit_code_of_the_worker_is_told(folder: Path) -> None:
    (folder / "standin.py").write_text("raise SystemExit(7)")
    assert job(folder)(None) == 7


def test_a_worker_is_stopped_by_a_file_and_may_save_first(folder: Path) -> None:
    def stop() -> None:
        wait_for(folder / "given")
        (folder / "stop").touch()

    threading.Thread(target=stop).start()
    assert job(folder, "wait")(None) == 130
    assert (folder / "given.left").exists()
    assert not (folder / "given.waited").exists(), "it was not left to end by itself"


def test_a_job_gives_signs_of_life_while_its_worker_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher_job, "BEAT_S", 0.0)
    seen: set[str] = set()

    def look() -> None:
        wait_for(folder / "beat-2")
        while len(seen) < 2:
            seen.add((folder / "beat-2").read_text())
            time.sleep(0.01)
        (folder / "stop").touch()

    threading.Thread(target=look).start()
    assert job(folder, "wait")(None) == 130
    assert len(seen) == 2


def test_a_job_that_starts_after_the_stop_starts_nothing(folder: Path) -> None:
    (folder / "stop").touch()
    assert job(folder)(None) == 130
    assert not (folder / "given").exists()


def test_threads_follow_what_slurm_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    assert granted() == 1
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "4096")
    assert granted() == cores()
    monkeypatch.delenv("SLURM_CPUS_PER_TASK")
    assert granted() == cores()


FOLLOWER = """
import signal, sys, time
from src.pipeline.launcher_job import leave_with_parent
def leave(*_):
    open(sys.argv[1] + "/left", "w").close()
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
leave_with_parent()
open(sys.argv[1] + "/ready", "w").close()
time.sleep(30)
"""
PARENT = """
import os, subprocess, sys
os.environ["DETSWEEP_PARENT"] = str(os.getpid())
subprocess.Popen([sys.executable, "-c", sys.argv[2], sys.argv[1]])
sys.stdin.read()
"""


def test_a_worker_leaves_when_its_job_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path), FOLLOWER]
    parent = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE)
    wait_for(tmp_path / "ready")
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    wait_for(tmp_path / "left")


def wait_for(path: Path, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.02)
