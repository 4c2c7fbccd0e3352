"""A study on PostgreSQL under load: eight workers, 1,000 trials that do nothing, and the database away in the middle.

python -m benchmarks.shared_study [trials] [seconds away]     # 1000 and 60; PostgreSQL must be installed

First the trials alone, for what one costs: seconds from the first claim to the last end over the number of trials.
Then as many once more, with the server stopped after a third of them and started again: every slot must have been run
once and told once. Workers are processes of their own, as on machines of their own.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from deploy.services import Postgres

ROOT = Path(__file__).resolve().parents[1]
WORKERS = 8
LIMIT_MS = 20.0
VARIABLE = "DETSWEEP_SHARED_STUDY"


def opened(url: str, folder: Path, trials: int) -> Any:
    """The study that all workers share."""
    from src.sweeper.space import parse_space
    from src.sweeper.storage import open_storage
    from src.sweeper.study import Study

    space = parse_space({}, [f"imgsz=range(0,{trials})"], n_trials=None)
    return Study(open_storage(url, folder / "unused.log"), space, {}, None)


def worker(url: str, folder: Path, trials: int, number: int) -> None:
    """Take trials until none is left; a line for each that was run, with its time."""
    from src.sweeper.loop import Outcome, work

    study = opened(url, folder, trials)
    with open(folder / f"worker-{number}.txt", "w", encoding="ascii", buffering=1) as stream:
        begun = time.time()

        def run(cell: Any) -> Outcome:
            stream.write(f"{cell.index} {begun} {time.time()}\n")
            return Outcome([0.5])

        work(study, run)


def ran(folder: Path) -> list[tuple[int, float, float]]:
    """Slot, first claim of its worker and end of every run so far."""
    lines = [line.split() for path in folder.glob("worker-*.txt") for line in path.read_text().splitlines()]
    return [(int(line[0]), float(line[1]), float(line[2])) for line in lines if len(line) == 3]


def load(server: Postgres, database: str, trials: int, away_s: float) -> dict[str, Any]:
    """Let eight workers share the trials, and say what was lost."""
    with tempfile.TemporaryDirectory() as name:
        folder, url = Path(name), server.create(database)
        opened(url, folder, trials).lay_out()
        words = [sys.executable, "-m", "benchmarks.shared_study", "--worker", name, str(trials)]
        env = {**os.environ, VARIABLE: url}  # a password has no place in the list of processes
        started = [_start([*words, str(i)], env, folder / f"stderr-{i}.txt") for i in range(WORKERS)]
        if away_s:
            _away(server, folder, trials // 3, away_s)
        ended_with = [process.wait() for process in started]
        failed = [(folder / f"stderr-{i}.txt").read_text()[-600:] for i, code in enumerate(ended_with) if code]
        runs = ran(folder)
        finished = [t.user_attrs["slot"] for t in opened(url, folder, trials)._study.get_trials() if t.values]
    begun, ended = min(r[1] for r in runs), max(r[2] for r in runs)
    counts = collections.Counter(r[0] for r in runs)
    return {
        "trials": trials,
        "away_s": away_s,
        "per_trial_ms": round(1000 * (ended - begun) / trials, 2),
        "lost": trials - len(set(finished)),
        "told_twice": len(finished) - len(set(finished)),
        "run_twice": sum(count > 1 for count in counts.values()),
        "workers_that_failed": len(failed),
        "their_last_words": failed,
    }


def _start(words: list[str], env: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with open(log, "wb") as stream:
        return subprocess.Popen(words, cwd=ROOT, env=env, stderr=stream)


def _away(server: Postgres, folder: Path, after: int, away_s: float) -> None:
    while len(ran(folder)) < after:
        time.sleep(0.1)
    server.stop()
    time.sleep(away_s)
    server.start()


def measure(trials: int, away_s: float) -> dict[str, Any]:
    """Both loads on one server."""
    server = Postgres()
    try:
        alone = load(server, "alone", trials, 0)
        away = load(server, "away", trials, away_s)
    finally:
        server.remove()
    nothing = all(not found[what] for found in (alone, away) for what in ("lost", "told_twice", "workers_that_failed"))
    return {
        "workers": WORKERS,
        "alone": alone,
        "database_away": away,
        "limit_ms": LIMIT_MS,
        "holds": nothing and alone["per_trial_ms"] <= LIMIT_MS,
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(os.environ[VARIABLE], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    else:
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("trials", type=int, nargs="?", default=1000)
        parser.add_argument("away_s", type=float, nargs="?", default=60.0)
        print(json.dumps(measure(**vars(parser.parse_args())), indent=1))
