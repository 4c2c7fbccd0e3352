"""Successive halving that pauses and continues, against stopping for good and the full grid, by replayed curves.

python -m benchmarks.halving [epochs] [n_train] [FOLDER]     # minutes to hours, by the machine
python -m benchmarks.halving made                            # made-up curves, in a minute
python -m benchmarks.halving rules                           # rungs and scores on 1,000 made-up grids, in seconds

The grid of `benchmarks.pruned` is trained in full once, and its curves are replayed through the study's own loop with
20 seeds of its sampler: a training to a rung is told the recorded value there; one that goes on costs only the epochs
that it had not had. The best configuration trained to the end is judged by the value that the grid knows for it.
Stopping for good is Optuna's pruner on the same curves, one configuration after the other.

Made-up curves rise to a height of their own at a pace of their own, with noise from epoch to epoch; the higher, the
slower on average, so that curves cross as they do in training. Each seed of the sampler has a grid of its own.

`rules` leaves the study out, which changes nothing for one worker: all configurations of a rung are there before the
best go on. It compares reduction factors, first rungs, and scores that add a part of the last rise to the value there.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray

from benchmarks.pruned import MAP, SAMPLER, SEEDS, SPACE, Curves, record, replay, spread
from src.config.schema import Pruner, StudyConfig
from src.sweeper.halving import Halving, halving_of
from src.sweeper.loop import Outcome, work
from src.sweeper.pruner import standing
from src.sweeper.space import parse_space
from src.sweeper.study import Cell, Study

LIMITS = {"map_lost": 0.01, "share_of_epochs": 0.20}
Floats = NDArray[np.float64]


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


def made_up(epochs: int, seed: int) -> Curves:
    """Curves of a grid like that of `benchmarks.pruned`."""
    rng = np.random.default_rng(seed)
    curves: Curves = {}
    for model, imgsz, lr in itertools.product(("v8n", "v11n"), (96, 128), (0.0002, 0.0006, 0.002, 0.006, 0.02)):
        height = rng.beta(5, 2) * (imgsz / 128) ** 0.5
        pace = epochs * rng.uniform(0.05, 0.2) * (0.5 + height)
        rise = 1 - np.exp(-np.arange(1, epochs + 1) / pace)
        values = np.clip(height * rise + rng.normal(0, 0.008, epochs), 0, 1)
        curves[(model, imgsz, lr)] = [{MAP: float(v)} for v in values]
    return curves


def halved(curves: Floats, rule: Halving, rise: float) -> tuple[float, int]:
    """Value that one worker finds, and the epochs that it spent.

    Args:
        curves: mAP50-95 [configuration, epoch].
        rule: rungs and reduction factor.
        rise: share of the rise over the second half of the way to a rung that is added to the value there.
    """
    alive, spent, before = np.arange(len(curves)), 0, 0
    for rung in rule.rungs():
        spent += len(alive) * (rung - before)
        values, half = curves[alive, rung - 1], curves[alive, (rung + 1) // 2 - 1]
        best_first = np.argsort(-(values + rise * (values - half)), kind="stable")
        alive, before = alive[best_first[: max(len(alive) // rule.eta, 1)]], rung
    return float(curves[alive].max()), spent + len(alive) * (rule.epochs - before)


def rules(epochs: int, grids: int = 1000) -> dict[str, Any]:
    """Figures of each rule over made-up grids; the same grids for all of them."""
    made = [np.array([[row[MAP] for row in c] for c in made_up(epochs, seed).values()]) for seed in range(grids)]
    found = {}
    for eta, first, rise in itertools.product((2, 3, 4), (1, 2, 3), (0.0, 0.5, 1.0)):
        runs = [halved(curves, Halving(first, epochs, eta), rise) for curves in made]
        lost = [float(curves.max()) - value for curves, (value, _) in zip(made, runs, strict=True)]
        found[f"eta {eta}, first rung {first}, rise {rise:g}"] = _figures(
            lost, [spent / made[0].size for _, spent in runs]
        )
    return found


def compared(grids: Sequence[Curves], epochs: int) -> dict[str, Any]:
    """Both ways of halving, a seed of the sampler on each grid."""
    best = [max(row[MAP] for c in curves.values() for row in c) for curves in grids]
    full = [sum(len(c) for c in curves.values()) for curves in grids]
    rows = {}
    for pruner in (Pruner.asha, Pruner.hyperband):
        cfg = StudyConfig(name="replayed", pruner=pruner)
        for name, way in (("stops for good", replay), ("pauses and continues", continued)):
            runs = [way(curves, cfg, epochs, seed) for seed, curves in zip(SEEDS, grids, strict=True)]
            lost = [top - value for top, (value, _) in zip(best, runs, strict=True)]
            share = [spent / whole for whole, (_, spent) in zip(full, runs, strict=True)]
            rows[f"{pruner.value}, {name}"] = _figures(lost, share)
    return rows


def measure(epochs: int, n_train: int, folder: Path | None) -> dict[str, Any]:
    """Train the grid, then replay both ways of halving on it."""
    with tempfile.TemporaryDirectory() as name:
        curves = record(epochs, n_train, folder or Path(name))
    return {
        "configurations": len(curves),
        "epochs_of_the_grid": sum(len(c) for c in curves.values()),
        "best_of_the_grid": round(max(row[MAP] for c in curves.values() for row in c), 4),
        "ways": compared([curves] * len(SEEDS), epochs),
        "limits": LIMITS,
    }


def _figures(lost: list[float], share: list[float]) -> dict[str, Any]:
    figures = {"map_lost": spread(lost), "share_of_epochs": spread(share)}
    kept = all(statistics.fmean(v) <= limit for v, limit in zip((lost, share), LIMITS.values(), strict=True))
    return {**figures, "seeds_within_0.01": sum(x <= LIMITS["map_lost"] for x in lost), "holds": kept}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("epochs", nargs="?", default="27", help="of a training, `made` or `rules`")
    parser.add_argument("n_train", type=int, nargs="?", default=120)
    parser.add_argument("folder", type=Path, nargs="?")
    asked = parser.parse_args()
    if asked.epochs == "made":
        found = {"ways": compared([made_up(27, seed) for seed in SEEDS], 27), "limits": LIMITS}
    elif asked.epochs == "rules":
        found = {"ways": rules(27), "limits": LIMITS}
    else:
        found = measure(int(asked.epochs), asked.n_train, asked.folder)
    print(json.dumps(found, indent=1))
