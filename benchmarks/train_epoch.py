"""Epoch time of our training against a plain Ultralytics training with the same arguments, and of the image caches.

python -m benchmarks.train_epoch [images] [epochs] [rounds]

Everything runs in one process, in turns, so that drift hits all alike: the peer is Ultralytics' own trainer class with
our arguments and our number of threads, writing its own checkpoints and pictures of nothing; ours is
`train` of `src.models.ultralytics.training` with all that it adds. An epoch's time runs from the start of one epoch to
the start of the next, validation and saving included; the first epoch of each training warms up and is left out.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks._table import held, lines
from src.config.schema import AppConfig
from src.data import resolve
from src.models.base import Start
from src.models.training_log import training_log
from src.models.ultralytics import training
from src.models.ultralytics.arguments import training_arguments
from src.models.ultralytics.checkpoint import prepare_environment, quiet_settings
from src.models.ultralytics.training import train
from src.records.schema import DatasetRef
from tests.configurations import typed

LIMITS = {"ours_to_peer": 1.05, "ram_to_none": 1.0}


def clocked(trainer: Any) -> list[float]:
    """Lets a trainer note when its epochs begin, and when training ends."""
    marks: list[float] = []
    for event in ("on_train_epoch_start", "on_train_end"):
        trainer.add_callback(event, lambda t: marks.append(time.perf_counter()))
    return marks


def epochs_of(marks: list[float]) -> list[float]:
    """Seconds of the epochs after the first; the last one ends where the next would begin."""
    return [b - a for a, b in pairwise(marks[1:-1])]


def run_peer(cfg: AppConfig, data: DatasetRef, out: Path, threads: int) -> list[float]:
    """Ultralytics alone."""
    from ultralytics.data import build
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.models.yolo.detect import DetectionTrainer
    from ultralytics.utils import torch_utils

    build.YOLODataset = YOLODataset  # type: ignore[attr-defined]  # ours may have taken its place

    torch_utils.NUM_THREADS = threads  # type: ignore[attr-defined]
    arguments = training_arguments(cfg.training, data, None, out)
    with training_log(out / "log.txt", also="ultralytics"):
        trainer = DetectionTrainer(overrides=arguments)
        marks = clocked(trainer)
        trainer.train()
    return epochs_of(marks)


def run_ours(cfg: AppConfig, data: DatasetRef, out: Path, threads: int) -> list[float]:
    """Ours, as a trial runs it."""
    from src.models.ultralytics import image_cache

    image_cache.install()
    build: Any = training._build_trainer
    marks: list[list[float]] = []

    def build_clocked(*words: Any) -> Any:
        trainer = build(*words)
        marks.append(clocked(trainer))
        return trainer

    training._build_trainer = build_clocked  # type: ignore[assignment]
    try:
        train(cfg.training, data, Start(None, "benchmark"), out, threads, lambda epoch, row: None)
    finally:
        training._build_trainer = build
    return epochs_of(marks[0])


def measure(images: int = 64, epochs: int = 4, rounds: int = 3) -> dict[str, Any]:
    """Run every kind in turns and compare medians of epochs."""
    threads = len(os.sched_getaffinity(0))
    base = [f"epochs={epochs}", f"data.n_train={images}", "data.n_val=16", "data.n_test=4", "train.plots=false"]
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare_environment(folder / "settings", threads=threads)
        quiet_settings()
        kinds = {"ours": "ram", "peer": "ram", "ours cache=none": "none", "ours cache=disk": "disk"}
        cfgs = {kind: typed(*base, f"train.cache={cache}") for kind, cache in kinds.items()}
        data = resolve(cfgs["ours"].data, folder / "data")
        for number in range(rounds):
            for kind, cfg in cfgs.items():
                out = folder / f"{kind.replace(' ', '-')}-{number}"
                run = run_peer if kind == "peer" else run_ours
                found.setdefault(kind, []).extend(run(cfg, data, out, threads))
    medians = {kind: statistics.median(values) for kind, values in found.items()}
    ratios = {
        "ours_to_peer": medians["ours"] / medians["peer"],
        "ram_to_none": medians["ours"] / medians["ours cache=none"],
        "disk_to_none": medians["ours cache=disk"] / medians["ours cache=none"],
    }
    return {"images": images, "cores": threads, "epoch_s": medians, "epochs": len(found["ours"]), "ratios": ratios}


def shown(result: dict[str, Any]) -> str:
    """The figures as a table."""
    names = {
        "ours": "detsweep, cache=ram",
        "peer": "Ultralytics alone, cache=ram",
        "ours cache=none": "detsweep, cache=none",
        "ours cache=disk": "detsweep, cache=disk",
    }
    ratios = {
        "ours_to_peer": "detsweep / Ultralytics alone",
        "ram_to_none": "cache=ram / cache=none",
        "disk_to_none": "cache=disk / cache=none",
    }
    head = f"{result['images']} images, {result['cores']} cores; medians of {result['epochs']} epochs each"
    times = [(names[kind], seconds, "s") for kind, seconds in result["epoch_s"].items()]
    compared: list[tuple[object, ...]] = []
    for key, name in ratios.items():
        value, limit = result["ratios"][key], LIMITS.get(key)
        compared.append((name, value, "", *((f"at most {limit:.2f}", held(value <= limit)) if limit else ())))
    return f"{head}\n{lines([*times, *compared])}"


if __name__ == "__main__":
    print(shown(measure(*[int(word) for word in sys.argv[1:]])))
