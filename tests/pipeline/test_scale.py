"""The sweep on real components: PostgreSQL, joblib, submitit, a Ray cluster. Trainings only wait (see `toy`)."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from src.machine.environment import cores
from src.records.schema import TrialRecord
from src.records.store import load
from tests.conftest import ROOT
from tests.services import Postgres

pytestmark = pytest.mark.slow
CELLS = ["lr=0.001,0.002,0.003,0.004,0.005", "imgsz=32,64", "seed=1,2", "epochs=3"]  # twenty trainings


class Sweep:
    """A sweep with the toy training, started as its own process."""

    def __init__(self, home: Path, *words: str, epoch_s: float = 0.1) -> None:
        self.folder = home / "o" / "sweeps" / "toy"
        places = [f"outputs={home}/o", f"reports={home}/r", "sweep=toy", "study.report=false"]
        command = [sys.executable, "-m", "tests.pipeline.toy", "-m", *CELLS, *places, *words]
        self.output = home / "output.txt"
        with open(self.output, "w") as stream:
            environment = {**os.environ, "TOY_EPOCH_S": str(epoch_s)}
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=stream, stderr=stream)

    def wait(self, timeout: float = 180) -> int:
        try:
            return self.process.wait(timeout)
        finally:
            self.process.kill()

    def wait_for(self, trials: int, timeout: float = 120) -> None:
        deadline = time.monotonic() + timeout
        while len(self.notes()) < trials:
            assert self.process.poll() is None, self.printed()
            assert time.monotonic() < deadline, self.printed()
            time.sleep(0.05)

    def printed(self) -> str:
        logs = [p.read_text()[-2000:] for p in sorted(self.folder.glob("workers/*.log"))]
        return "\n".join([self.output.read_text()[-4000:], *logs])

    def notes(self) -> list[dict[str, Any]]:
        """What each finished training was given."""
        path = self.folder / "toy.txt"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []

    def records(self) -> list[TrialRecord]:
        return [load(TrialRecord, p) for p in sorted(self.folder.glob("trials/*/record.json"))]

    def check(self) -> None:
        """Twenty trials, each trained once, none of them failed."""
        assert [r.trial for r in self.records()] == list(range(20))
        assert {r.state for r in self.records()} == {"complete"}, [f for r in self.records() for f in r.failures]
        assert Counter(note["trial"] for note in self.notes()) == {f"{i:04d}": 1 for i in range(20)}


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    pytest.importorskip("psycopg", reason="make setup EXTRAS=postgresql")
    server = Postgres()
    try:
        yield server
    finally:
        server.remove()


def test_eight_workers_on_postgresql_survive_its_restart(tmp_path: Path, postgres: Postgres) -> None:
    study, runs = postgres.create("study"), postgres.create("mlflow")
    places = [f"study.storage={study}", f"tracking.uri={runs}", "tracking.system_metrics=false"]
    sweep = Sweep(tmp_path, *places, "study.workers=8", epoch_s=0.5)
    sweep.wait_for(3)
    postgres.restart(away_s=3.0)
    assert sweep.wait() == 0, sweep.printed()
    sweep.check()
    assert len({note["DETSWEEP_WORKER"] for note in sweep.notes()}) >= 4
    assert statuses(runs) == Counter({"FINISHED": 21})
    assert states(study)["COMPLETE"] == 10, "a configuration is a trial; its two seeds are its replicates"
    written = [p for p in tmp_path.rglob("*") if p.is_file() and postgres.password.encode() in p.read_bytes()]
    assert not written, "the password is kept nowhere"


def test_joblib_starts_the_workers_and_a_signal_ends_them(tmp_path: Path) -> None:
    need("joblib", "hydra_plugins.hydra_joblib_launcher")
    words = ["hydra/launcher=joblib", "study.workers=2", "study.gpus=[3,5]", "tracking=none"]
    sweep = Sweep(tmp_path, *words, epoch_s=0.3)
    sweep.wait_for(4)
    sweep.process.send_signal(signal.SIGTERM)
    assert sweep.wait() == 130, sweep.printed()
    assert len(sweep.notes()) < 20, "the trainings that were left were not waited for"
    gone(sweep.notes())
    again = Sweep(tmp_path, *words)
    assert again.wait() == 0, again.printed()
    again.check()
    given = {(n["DETSWEEP_WORKER"], n["CUDA_VISIBLE_DEVICES"]) for n in again.notes()}
    assert given <= {("0", "3"), ("1", "5")}
    assert {(n["threads"], n["OMP_NUM_THREADS"]) for n in again.notes()} == {(share(), str(share()))}


def test_submitit_starts_the_workers_and_loses_one(tmp_path: Path) -> None:
    """The path that Slurm's jobs take, with submitit's local executor in Slurm's place."""
    need("slurm", "hydra_plugins.hydra_submitit_launcher")
    sweep = Sweep(tmp_path, "hydra/launcher=submitit_local", "study.workers=2", "tracking=none", epoch_s=0.3)
    sweep.wait_for(4)
    os.kill(sweep.notes()[-1]["ppid"], signal.SIGKILL)  # the job, not its worker
    assert sweep.wait() == 0, sweep.printed()
    sweep.check()
    assert {n["SUBMITIT_EXECUTOR"] for n in sweep.notes()} == {"local"}
    assert {n["threads"] for n in sweep.notes()} == {share()}
    gone(sweep.notes())


def test_a_ray_cluster_of_two_nodes_loses_one_and_is_stopped(tmp_path: Path) -> None:
    need("ray", "hydra_plugins.hydra_ray_launcher")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        second = cluster.add_node(num_cpus=1)
        words = [f"hydra.launcher.ray.init.address={cluster.address}", "+hydra.launcher.ray.remote.num_cpus=1"]
        sweep = Sweep(tmp_path, "hydra/launcher=ray", *words, "study.workers=2", "tracking=none", epoch_s=0.5)
        deadline = time.monotonic() + 120
        while len({n["RAY_RAYLET_PID"] for n in sweep.notes()}) < 2:  # a worker on each node
            assert sweep.process.poll() is None, sweep.printed()
            assert time.monotonic() < deadline, sweep.printed()
            time.sleep(0.1)
        cluster.remove_node(second, allow_graceful=False)
        sweep.wait_for(len(sweep.notes()) + 4)
        sweep.process.send_signal(signal.SIGTERM)  # Ray's own handler would abort
        assert sweep.wait() == 130, sweep.printed()
        assert len(sweep.notes()) < 20, "the trainings that were left were not waited for"
        assert {n["threads"] for n in sweep.notes()} == {1}
        gone(sweep.notes())
    finally:
        cluster.shutdown()
    again = Sweep(tmp_path, "tracking=none", epoch_s=0.01)  # what the cluster began is finished here
    assert again.wait() == 0, again.printed()
    again.check()


def test_a_ray_head_is_lost_and_the_same_command_goes_on_with_a_new_one(tmp_path: Path) -> None:
    need("ray", "hydra_plugins.hydra_ray_launcher")
    from ray.cluster_utils import Cluster

    def start() -> tuple[Any, Sweep]:
        cluster: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 4, "include_dashboard": False})
        words = [f"hydra.launcher.ray.init.address={cluster.address}", "+hydra.launcher.ray.remote.num_cpus=1"]
        return cluster, Sweep(tmp_path, "hydra/launcher=ray", *words, "study.workers=4", "tracking=none", epoch_s=0.5)

    cluster, sweep = start()
    try:
        sweep.wait_for(3)
        cluster.remove_node(cluster.head_node, allow_graceful=False)
        assert sweep.wait() == 1, sweep.printed()  # Ray's own code ends the process a minute later, and says why
        gone(sweep.notes())
        assert 3 <= len(sweep.notes()) < 20
    finally:
        cluster.shutdown()
    cluster, again = start()
    try:
        assert again.wait() == 0, again.printed()
        again.check()
    finally:
        cluster.shutdown()


def need(extra: str, module: str) -> None:
    """Skip where an extra is not installed."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"make setup EXTRAS={extra}")


def share() -> int:
    """Threads of each of two workers."""
    return max(cores() // 2, 1)


def gone(notes: list[dict[str, Any]]) -> None:
    """No worker is left, once those that were told to leave have saved what they had."""
    deadline = time.monotonic() + 10
    while left := [pid for pid in {n["pid"] for n in notes} if b"toy" in _command(pid)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def query(url: str, sql: str) -> Counter[str]:
    import psycopg

    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        return Counter(value for (value,) in connection.execute(sql))  # type: ignore[arg-type]


def statuses(url: str) -> Counter[str]:
    """Of the MLflow runs."""
    return query(url, "SELECT status FROM runs")


def states(url: str) -> Counter[str]:
    """Of Optuna's trials."""
    return query(url, "SELECT state::text FROM trials")
