"""Sweeps that are killed or interrupted go on as if nothing had happened."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from src.records.schema import TrialRecord
from src.records.store import load
from tests.conftest import ROOT, Command
from tests.pipeline.test_sweep import TOY

WORDS = ["-m", *TOY, "epochs=3", "lr=0.002,0.004", "export=none", "runtime.engines=[]", "sweep=cut"]


def start(home: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "src.run", *WORDS, f"outputs={home}/o", f"reports={home}/r", *words]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(process: subprocess.Popen[str], ready: Callable[[], bool], timeout: float = 240) -> None:
    deadline = time.monotonic() + timeout
    while not ready():
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        assert time.monotonic() < deadline
        time.sleep(0.05)


def outcome(home: Path) -> list[tuple[str, float, str, dict[str, float]]]:
    records = [load(TrialRecord, p) for p in sorted((home / "o" / "sweeps" / "cut").glob("trials/*/record.json"))]
    return [(r.state, r.lr, r.checkpoint.weights_sha256 if r.checkpoint else "", r.metrics) for r in records]


def statuses(home: Path) -> list[str]:
    with sqlite3.connect(home / "o" / "mlflow.db") as db:
        return sorted(status for (status,) in db.execute("SELECT status FROM runs"))


def epochs_logged(home: Path) -> list[int]:
    query = "SELECT step FROM metrics WHERE key = 'lr' ORDER BY run_uuid, step"
    with sqlite3.connect(home / "o" / "mlflow.db") as db:
        return sorted(step for (step,) in db.execute(query))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("whole")
    process = start(home)
    assert process.wait(400) == 0, process.stdout.read() if process.stdout else ""
    return home


@pytest.mark.slow
def test_a_sweep_killed_in_mid_training_ends_like_an_undisturbed_one(undisturbed: Path, tmp_path: Path) -> None:
    first = start(tmp_path)
    state = tmp_path / "o" / "sweeps" / "cut" / "trials" / "0001" / "train" / "state" / "state.pt"
    wait_for(first, state.exists)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    again = start(tmp_path)
    printed = again.communicate(timeout=400)[0]
    assert again.returncode == 0, printed
    assert outcome(tmp_path) == outcome(undisturbed)
    assert statuses(tmp_path) == ["FINISHED"] * 3
    assert epochs_logged(tmp_path) == [1, 1, 2, 2, 3, 3], "no epoch is logged twice"
    report, whole = (home / "r" / "cut" / "trials.csv" for home in (tmp_path, undisturbed))
    assert report.read_text().count("\n") == whole.read_text().count("\n")


@pytest.mark.slow
def test_an_interrupted_sweep_ends_in_130_quickly_and_says_how_to_go_on(tmp_path: Path, command: Command) -> None:
    process = start(tmp_path)
    wait_for(process, (tmp_path / "o/sweeps/cut/trials/0000/train/state/state.pt").exists)
    process.send_signal(signal.SIGTERM)
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == 130, printed
    assert "same command" in printed
    assert "Traceback" not in printed
    assert "RUNNING" not in statuses(tmp_path)
    assert "KILLED" in statuses(tmp_path)
    assert len(epochs_logged(tmp_path)) < 6, "what was left of the trainings was not waited for"


@pytest.mark.slow
def test_two_workers_share_a_sweep(undisturbed: Path, tmp_path: Path) -> None:
    process = start(tmp_path, "study.workers=2", "tracking.system_metrics=false")
    printed = process.communicate(timeout=400)[0]
    assert process.returncode == 0, printed
    records = [load(TrialRecord, p) for p in sorted((tmp_path / "o/sweeps/cut").glob("trials/*/record.json"))]
    assert [r.trial for r in records] == [0, 1]
    assert {r.state for r in records} == {"complete"}
    assert statuses(tmp_path) == ["FINISHED"] * 3
    assert "2 workers" in printed


@pytest.mark.slow
def test_a_pruned_trial_is_recorded_with_its_curve(tmp_path: Path) -> None:
    process = start(tmp_path, "study.pruner=threshold", "study.pruner_threshold=0.9", "study.pruner_warmup=2")
    printed = process.communicate(timeout=400)[0]
    assert process.returncode == 1, "no trial survived\n" + printed
    records = [load(TrialRecord, p) for p in sorted((tmp_path / "o/sweeps/cut").glob("trials/*/record.json"))]
    assert [r.state for r in records] == ["pruned", "pruned"]
    assert [len(r.history) for r in records] == [2, 2]
    assert epochs_logged(tmp_path) == [1, 1, 2, 2]
