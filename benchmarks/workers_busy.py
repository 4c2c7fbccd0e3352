"""How busy two workers are on trials of one and four times the length, beside the stock sweeper with two jobs.

python -m benchmarks.workers_busy [trials]

The stock sweeper launches `n_jobs` trials, waits for the slowest of them, and goes on; a worker here takes the next
slot as soon as it is free. Busy is the time slept in trials over twice the time from the first trial to the end of the
last. Both sides run in this order: stock, ours, stock, ours; each in processes of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean

from benchmarks._sweepers import laid_out

ROOT = Path(__file__).resolve().parents[1]
WORKERS = 2
LIMIT = 0.95


def busy(folder: Path) -> float:
    """Share of the workers' time that trials took, from the first begin to the last end."""
    spans = [tuple(map(float, line.split())) for line in (folder / "spans.txt").read_text().splitlines()]
    worked = sum(end - begin for begin, end in spans)
    return worked / (WORKERS * (max(end for _, end in spans) - min(begin for begin, _ in spans)))


def run(what: str, trials: int) -> float:
    """Run one side, and return how busy its workers were."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        count = WORKERS if what == "ours" else 1
        if what == "ours":
            from src.sweeper.study import Study

            laid_out(folder, trials, Study)
        words = [sys.executable, "-m", "benchmarks._sweepers", what, name, str(trials)]
        started = [subprocess.Popen(words, cwd=ROOT, stderr=subprocess.DEVNULL) for _ in range(count)]
        if any(process.wait() for process in started):
            raise SystemExit(f"{what} failed: {' '.join(words)}")
        return busy(folder)


def measure(trials: int = 64) -> dict[str, object]:
    """Both sides, twice."""
    found: dict[str, list[float]] = {"stock": [], "ours": []}
    for _ in range(2):
        for what, shares in found.items():
            shares.append(round(run(what, trials), 4))
    ours = mean(found["ours"])
    return {"trials": trials, "workers": WORKERS, "busy": found, "limit": LIMIT, "holds": ours >= LIMIT}


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 64), indent=1))
