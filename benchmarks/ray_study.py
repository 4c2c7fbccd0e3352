"""A sweep on a Ray cluster under load: eight workers, 1,000 trials that do nothing, the head and the database lost.

python -m benchmarks.ray_study [trials] [seconds away]     # 1000 and 10; make setup EXTRAS="ray postgresql", PostgreSQL

The whole command with its records, on a study in PostgreSQL; only the training does nothing. After a third of the
trials the database is stopped and started again, after two thirds Ray's head node is killed: the command ends, and is
given again on a new cluster. Every trial must then have one record, and a worker that was killed may have cost the
training that it was at.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from deploy.services import Postgres

ROOT = Path(__file__).resolve().parents[1]
WORKERS = 8
SEEDS = 2


class Command:
    """One start of the sweep, on a cluster of its own."""

    def __init__(self, home: Path, storage: str, trials: int) -> None:
        from ray.cluster_utils import Cluster

        node = {"num_cpus": WORKERS, "include_dashboard": False}
        self.cluster: Any = Cluster(initialize_head=True, head_node_args=node)
        rates = ",".join(f"{(i + 1) / 1e5:.5f}" for i in range(trials // SEEDS))
        words = [f"lr={rates}", "imgsz=32", f"seed={','.join(map(str, range(SEEDS)))}", "epochs=1", "sweep=toy"]
        words += [f"outputs={home}/o", f"reports={home}/r", "study.report=false", f"study.storage={storage}"]
        words += ["hydra/launcher=ray", f"hydra.launcher.ray.init.address={self.cluster.address}", "tracking=none"]
        words += ["+hydra.launcher.ray.remote.num_cpus=1", f"study.workers={WORKERS}"]
        self.output = home / "output.txt"
        with open(self.output, "ab") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.pipeline.toy", "-m", *words],
                cwd=ROOT,
                env={**os.environ, "TOY_EPOCH_S": "0"},
                stdout=stream,
                stderr=stream,
            )

    def wait_for(self, notes: Path, count: int) -> None:
        """Wait until so many trainings have ended.

        Raises:
            RuntimeError: the command ended before.
        """
        while len(lines(notes)) < count:
            if self.process.poll() is not None:
                raise RuntimeError(f"ended with {self.process.returncode}: {self.output.read_text()[-2000:]}")
            time.sleep(0.2)

    def remove(self) -> None:
        """End what is left of it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
        self.cluster.shutdown()


def lines(notes: Path) -> list[dict[str, Any]]:
    """What each finished training noted."""
    return [json.loads(line) for line in notes.read_text().splitlines()] if notes.is_file() else []


def measure(trials: int, away_s: float) -> dict[str, Any]:
    """Run it, break it, give it again, and count."""
    server = Postgres()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        sweep = home / "o" / "sweeps" / "toy"
        notes, storage = sweep / "toy.txt", server.create("study")
        begun = time.perf_counter()
        try:
            command = Command(home, storage, trials)
            try:
                command.wait_for(notes, trials // 3)
                server.stop()
                time.sleep(away_s)
                server.start()
                command.wait_for(notes, 2 * trials // 3)
                command.cluster.remove_node(command.cluster.head_node, allow_graceful=False)
                ended_with = command.process.wait(300)
            finally:
                command.remove()
            before = len(lines(notes))
            command = Command(home, storage, trials)
            try:
                finished_with = command.process.wait(1800)
                said = command.output.read_text()[-1500:]
            finally:
                command.remove()
        finally:
            server.remove()
        counts = collections.Counter(note["trial"] for note in lines(notes))
        records = [json.loads(path.read_bytes()) for path in sweep.glob("trials/*/record.json")]
    states = collections.Counter(record["state"] for record in records)
    twice = sum(counts.values()) - len(counts)
    return {
        "workers": WORKERS,
        "trials": trials,
        "database_away_s": away_s,
        "ended_with_when_the_head_was_lost": ended_with,
        "trained_before": before,
        "ended_with_on_the_new_cluster": finished_with,
        "records": dict(states),
        "lost": trials - states["complete"],
        "trained_twice": twice,
        "seconds": round(time.perf_counter() - begun, 1),
        "last_words": "" if finished_with == 0 else said,
        "holds": states["complete"] == trials and finished_with == 0 and twice <= WORKERS,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trials", type=int, nargs="?", default=1000)
    parser.add_argument("away_s", type=float, nargs="?", default=10.0)
    print(json.dumps(measure(**vars(parser.parse_args())), indent=1))
