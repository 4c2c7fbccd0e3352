"""Successive halving that pauses and continues, against stopping for good and the full grid, by replayed curves.

python -m benchmarks.halving [epochs] [n_train] [FOLDER]

The grid of `benchmarks.pruned` is trained in full once, and its curves are replayed through the study's own loop with
20 seeds of its sampler: a training to a rung is told the recorded value there; one that goes on costs only the epochs
that it had not had. The best configuration trained to the end is judged by the value that the grid knows for it.
Stopping for good is Optuna's pruner on the same curves, one configuration after the other.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import optuna

from benchmarks.pruned import MAP, SAMPLER, SEEDS, SPACE, Curves, record, replay
from src.config.schema import Pruner, StudyConfig
from src.sweeper.halving import halving_of
from src.sweeper.loop import Outcome, work
from src.sweeper.pruner import standing
from src.sweeper.space import parse_space
from src.sweeper.study import Cell, Study

LIMITS = {"map_lost": 0.01, "share_of_epochs": 0.20}


def continued(curves: Curves, cfg: StudyConfig, epochs: int, seed: int) -> tuple[float, int]:
    """Value of the configuration that a pausing study finds, and the epochs that it spent."""
    space = parse_space({}, SPACE, n_trials=len(curves))
    halving = halving_of(cfg, epochs)
    storage = optuna.storages.InMemoryStorage()
    study = Study(storage, space, {**SAMPLER, "seed": seed}, len(curves), halving=halving, seed=seed)
    study.lay_out()
    done: dict[int, int] = {}
    values: list[float] = []

    def run(cell: Cell) -> Outcome:
        curve = curves[(cell.params["model"], cell.params["imgsz"], cell.params["lr"])]
        until = cell.until or len(curve)
        for epoch in range(done.get(cell.index, 0) + 1, until + 1):
            cell.trial.report(standing(curve[epoch - 1], MAP), epoch)
        done[cell.index] = until
        if cell.until is not None:
            return Outcome(paused=standing(curve[until - 1], MAP))
        values.append(max(row[MAP] for row in curve))
        return Outcome([values[-1]])

    work(study, run, idle=lambda s: None)
    return max(values), sum(done.values())


def measure(epochs: int, n_train: int, folder: Path | None) -> dict[str, Any]:
    """Train the grid, then replay both ways of halving on it."""
    with tempfile.TemporaryDirectory() as name:
        curves = record(epochs, n_train, folder or Path(name))
    full, best = sum(len(c) for c in curves.values()), max(row[MAP] for c in curves.values() for row in c)
    rows = {}
    for pruner in (Pruner.asha, Pruner.hyperband):
        cfg = StudyConfig(name="replayed", pruner=pruner)
        for name, way in (("stops for good", replay), ("pauses and continues", continued)):
            runs = [way(curves, cfg, epochs, seed) for seed in SEEDS]
            rows[f"{pruner.value}, {name}"] = _figures([best - value for value, _ in runs], [n / full for _, n in runs])
    return {
        "configurations": len(curves),
        "epochs_of_the_grid": full,
        "best_of_the_grid": round(best, 4),
        "ways": rows,
        "limits": LIMITS,
    }


def _figures(lost: list[float], share: list[float]) -> dict[str, Any]:
    figures = {}
    for name, values in (("map_lost", lost), ("share_of_epochs", share)):
        spread = {"mean": statistics.fmean(values), "sd": statistics.stdev(values), "worst": max(values)}
        figures[name] = {k: round(v, 4) for k, v in spread.items()}
    kept = all(statistics.fmean(v) <= limit for v, limit in zip((lost, share), LIMITS.values(), strict=True))
    return {**figures, "seeds_within_0.01": sum(x <= LIMITS["map_lost"] for x in lost), "holds": kept}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("epochs", type=int, nargs="?", default=27)
    parser.add_argument("n_train", type=int, nargs="?", default=120)
    parser.add_argument("folder", type=Path, nargs="?")
    print(json.dumps(measure(**vars(parser.parse_args())), indent=1))
