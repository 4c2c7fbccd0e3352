"""A pruned study against the full grid: how much accuracy is given up, and how many epochs are saved.

python -m benchmarks.pruned [epochs] [n_train] [FOLDER]

The grid (two detectors, two image sizes, five learning rates, one seed) is trained in full once, on digits, by our own
command. Its curves are then replayed: a pruned study is told the recorded value of every epoch, as if it had trained,
with 20 seeds of its sampler. The best configuration that it finds is judged by the value that the grid knows for it.
A grid that FOLDER holds already is not trained again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from src.config.schema import Pruner, StudyConfig
from src.records.schema import TrialRecord
from src.records.store import load
from src.sweeper.pruner import make_pruner, standing
from src.sweeper.space import parse_space
from src.sweeper.study import Study

ROOT = Path(__file__).resolve().parents[1]
SPACE = ["model=v8n,v11n", "imgsz=96,128", "lr=0.0002,0.0006,0.002,0.006,0.02"]
SEEDS = range(20)
WORKERS = len(os.sched_getaffinity(0))
SAMPLER = {"_target_": "optuna.samplers.TPESampler", "n_startup_trials": 5, "multivariate": True}
LIMITS = {"map_lost": 0.01, "share_of_epochs": 1 / 3}
MAP = "val/mAP50-95"

Curves = dict[tuple[Any, ...], list[dict[str, float]]]  # figures of every epoch of a configuration


def record(epochs: int, n_train: int, folder: Path) -> Curves:
    """Train the whole grid, a thread a worker: these networks are too small for two; figures per epoch."""
    words = [*SPACE, f"epochs={epochs}", f"data.n_train={n_train}", "data.n_val=40", "export=none", "runtime=pytorch"]
    places = [f"outputs={folder / 'outputs'}", f"reports={folder / 'reports'}", "sweep=full"]
    stages = [
        "benchmark=quick",
        "decision.finalists=1",
        "tracking=none",
        "train.plots=false",
        f"study.workers={WORKERS}",
    ]
    command = [sys.executable, "-m", "src.run", "-m", *words, *places, *stages]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    records = [load(TrialRecord, p) for p in sorted((folder / "outputs/sweeps/full/trials").glob("*/record.json"))]
    return {(r.model, r.imgsz, r.lr): r.history for r in records}


def replay(curves: Curves, study_cfg: StudyConfig, epochs: int, seed: int) -> tuple[float, int]:
    """Value of the configuration that a pruned study finds, and the epochs that it spent."""
    import optuna

    space = parse_space({}, SPACE, n_trials=len(curves))
    sampler = {**SAMPLER, "seed": seed}
    study = Study(
        optuna.storages.InMemoryStorage(), space, sampler, len(curves), pruner=make_pruner(study_cfg, epochs), seed=seed
    )
    study.lay_out()
    spent, best = 0, 0.0
    while (cell := study.claim()) is not None:
        curve = curves[(cell.params["model"], cell.params["imgsz"], cell.params["lr"])]
        for epoch, row in enumerate(curve, start=1):
            spent += 1
            cell.trial.report(standing(row, MAP), epoch)
            if cell.trial.should_prune():
                study.tell(cell, [], pruned=True)
                break
        else:
            value = max(row[MAP] for row in curve)
            study.tell(cell, [value])
            best = max(best, value)
    return best, spent


def measure(epochs: int, n_train: int, folder: Path | None) -> dict[str, Any]:
    """Train the grid, then replay every pruner on it."""
    with tempfile.TemporaryDirectory() as name:
        curves = record(epochs, n_train, folder or Path(name))
    full = sum(len(c) for c in curves.values())
    best = max(row[MAP] for c in curves.values() for row in c)
    rows = {}
    for pruner in (Pruner.asha, Pruner.hyperband, Pruner.median):
        cfg = StudyConfig(name="replayed", pruner=pruner)
        runs = [replay(curves, cfg, epochs, seed) for seed in SEEDS]
        lost = [best - value for value, _ in runs]
        share = [spent / full for _, spent in runs]
        rows[pruner.value] = {
            "map_lost": spread(lost),
            "share_of_epochs": spread(share),
            "seeds_within_0.01": sum(x <= LIMITS["map_lost"] for x in lost),
            "holds": statistics.fmean(lost) <= LIMITS["map_lost"]
            and statistics.fmean(share) <= LIMITS["share_of_epochs"],
        }
    return {
        "configurations": len(curves),
        "epochs_of_the_grid": full,
        "best_of_the_grid": round(best, 4),
        "final_values": sorted((round(c[-1][MAP], 3) for c in curves.values()), reverse=True),
        "pruners": rows,
        "limits": {k: round(v, 3) for k, v in LIMITS.items()},
        "curves": {" ".join(map(str, k)): [round(row[MAP], 4) for row in c] for k, c in curves.items()},
    }


def spread(values: list[float]) -> dict[str, float]:
    """Mean, deviation and the worst of values."""
    figures = {"mean": statistics.fmean(values), "sd": statistics.stdev(values), "worst": max(values)}
    return {k: round(v, 4) for k, v in figures.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("epochs", type=int, nargs="?", default=27)
    parser.add_argument("n_train", type=int, nargs="?", default=120)
    parser.add_argument("folder", type=Path, nargs="?")
    print(json.dumps(measure(**vars(parser.parse_args())), indent=1))
