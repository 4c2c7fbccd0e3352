"""How long a report over many recorded trials takes, and how much memory: `python -m benchmarks.report_scale 1000`.

The records are synthetic: configurations of three seeds, 50 epochs of history each, and one finalist with three
artifacts in a hundred trials.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def build(folder: Path, n: int) -> Path:
    """Save `n` trials below `folder`; returns the sweep's folder."""
    from tests.report.factory import Sweep, finalist, trial

    trials = []
    for i in range(n):
        config, seed = divmod(i, 3)
        score = 0.3 + 0.3 * (config * 37 % 100) / 100 + 0.01 * seed
        one = trial(i, ("v8n", "v11n")[config % 2], 160, 0.0001 * (1 + config // 2), seed, score)
        trials.append(replace(one, history=[{**one.history[e % 10], "epoch": e + 1.0} for e in range(50)]))
    return Sweep(trials, [finalist(t) for t in trials[::100]]).write(folder)


def main() -> None:
    """Build the records, write the report in a process of its own, print seconds and megabytes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trials", type=int, nargs="?", default=1000)
    n = parser.parse_args().trials
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build(folder / "outputs", n)
        words = [sys.executable, "-m", "src.report", "sweep=friday", f"outputs={folder}/outputs", f"reports={folder}/r"]
        begun = time.perf_counter()
        subprocess.run(words, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - begun
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"{n} trials: {seconds:.1f} s, {memory:.0f} MB at the peak")


if __name__ == "__main__":
    main()
