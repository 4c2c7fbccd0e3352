"""What tracking costs of a trial: the seconds spent in MLflow's calls, as a share of the trials that they belong to.

python -m benchmarks.tracking [epochs]

A grid of two trials with the default local store (a SQLite file, system metrics on) runs in this process, with a clock
around every call that reaches the store. `per_epoch` is the batch of metrics that each epoch writes; `whole` also holds
starting and ending the run, its parameters, and the copies of checkpoints and pictures.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

from src import run
from src.records.schema import TrialRecord
from src.records.store import load
from src.track import store

LIMIT = 0.01


def measure(epochs: int = 5) -> dict[str, Any]:
    """Run the grid with a clock in the store."""
    spent: list[tuple[str, float]] = []
    put, start = store.MlflowRun._put, store.MlflowTracker.start

    def timed_put(self: Any, entry: dict[str, Any]) -> None:
        begun = time.perf_counter()
        put(self, entry)
        is_epoch = entry["kind"] == "metrics" and "train/box_loss" in entry["values"]
        spent.append(("epoch" if is_epoch else entry["kind"], time.perf_counter() - begun))

    def timed_start(self: Any, *words: Any, **keys: Any) -> Any:
        begun = time.perf_counter()
        made = start(self, *words, **keys)
        spent.append(("start", time.perf_counter() - begun))
        return made

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = ["-m", "lr=0.001,0.002", f"epochs={epochs}", "data.n_train=120", "data.n_val=40", "export=none"]
        words += ["runtime=pytorch", "benchmark=quick", "decision.finalists=1", "study.report=false", "sweep=t"]
        words += [f"outputs={folder / 'outputs'}", f"reports={folder / 'reports'}"]
        with (
            mock.patch.object(store.MlflowRun, "_put", timed_put),
            mock.patch.object(store.MlflowTracker, "start", timed_start),
            mock.patch.object(sys, "argv", ["src.run", *words]),
        ):
            try:
                run.main()
            except SystemExit as done:
                if done.code:
                    raise RuntimeError("the grid failed") from done
        records = [load(TrialRecord, p) for p in folder.glob("outputs/sweeps/t/trials/*/record.json")]
    seconds = sum(sum(r.timings_s.values()) for r in records)
    epoch = [s for kind, s in spent if kind == "epoch"]
    whole = sum(s for _, s in spent)
    shares = {"per_epoch": sum(epoch) / seconds, "whole": whole / (seconds + whole)}
    return {
        "trials": len(records),
        "trial_s": round(seconds / len(records), 2),
        "batches_of_metrics": len(epoch),
        "ms_per_batch": round(1000 * statistics.median(epoch), 2),
        "s_by_kind": {k: round(sum(s for kind, s in spent if kind == k), 3) for k in sorted({k for k, _ in spent})},
        "share": {k: round(v, 4) for k, v in shares.items()},
        "limit": LIMIT,
        "holds": shares["per_epoch"] <= LIMIT,
    }


if __name__ == "__main__":
    result = measure(*[int(word) for word in sys.argv[1:]])
    print(json.dumps(result, indent=1))
