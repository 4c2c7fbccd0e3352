"""What `plan=true` says that a sweep will take, against what it then takes.

python -m benchmarks.plan [key=value …]     # words are added to both commands; several minutes

The plan runs before the sweep and once more after it, since machines drift: the mean of the two is compared. The sweep
is timed as the plan counts, from the start of its command to its end, report included. Both are fresh processes, the
dataset is prepared beforehand, and both find caches of images as the plan before leaves them.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 0.20  # of what it takes
TOTAL = re.compile(r"^\s*in all\s+(?P<clock>[\d:]+)", re.MULTILINE)
STUDY = ["imgsz=96,128", "seed=1,2", "epochs=6", "data.n_train=80", "data.n_val=24", "data.n_test=24", "batch=8"]
STAGES = ["model.weights=scratch", "export=onnx", "runtime=onnxruntime", "benchmark=quick", "decision.finalists=1"]


def seconds_of(clock: str) -> int:
    """Seconds of `m:ss` or `h:mm:ss`."""
    total = 0
    for part in clock.split(":"):
        total = total * 60 + int(part)
    return total


def planned(text: str) -> int:
    """Seconds that a plan names in all.

    Raises:
        ValueError: the text holds no such line.
    """
    found = TOTAL.search(text)
    if found is None:
        raise ValueError(f"no plan in:\n{text[-2000:]}")
    return seconds_of(found["clock"])


def _command(folder: Path, words: list[str]) -> str:
    places = [f"outputs={folder / 'outputs'}", f"reports={folder / 'reports'}", "sweep=planned", "tracking=none"]
    command = [sys.executable, "-m", "src.run", "-m", *STUDY, *STAGES, *places, *words]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout


def measure(words: list[str]) -> dict[str, Any]:
    """Plan, sweep, and plan another one like it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before = planned(_command(folder, [*words, "plan=true"]))
        begun = time.perf_counter()
        _command(folder, words)
        took = time.perf_counter() - begun
        after = planned(_command(folder, [*words, "sweep=another", "plan=true"]))
    said = statistics.fmean((before, after))
    off = said / took - 1
    return {
        "planned_s": [before, after],
        "took_s": round(took, 1),
        "off": round(off, 3),
        "limit": LIMIT,
        "holds": abs(off) <= LIMIT,
    }


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1:]), indent=1))
