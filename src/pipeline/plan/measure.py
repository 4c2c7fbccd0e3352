"""What a training and a finalist cost on this machine: done once at toy length in a folder that is thrown away.

The first epoch warms up (images are read and kept, memory is asked for); the two after it are measured. The rest of a
training's time is counted once a training: building the network, reading the images, the last pictures. One finalist
goes through export, verification, evaluation in depth and one round of the benchmark. All of it is the sweep's own
code, with a tracker that keeps nothing.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from src.common.errors import StageError
from src.config.schema import AppConfig
from src.evaluate import evaluate_sweep
from src.models.base import family
from src.pipeline.context import Context, Inputs, now
from src.pipeline.finalist import run_finalists
from src.pipeline.one_trial import trial_of
from src.pipeline.plan.kinds import Kind
from src.pipeline.single import frame_of
from src.pipeline.trial import run_trial
from src.records.schema import FinalistRecord, TrialRecord
from src.records.store import save

WARM, MEASURED = 1, 2  # epochs
MOST_MEASURED = 4  # kinds; the others are reckoned from these


@dataclass(frozen=True)
class Training:
    """What a training of one kind costs."""

    gflops: float  # per image
    epoch_s: float
    around_s: float  # once a training, beside its epochs
    evaluate_s: float
    size_bytes: int  # what it leaves on the disk
    watts: dict[str, float] = field(default_factory=dict)  # by counter, while it trains; empty where there is none


@dataclass(frozen=True)
class Finalist:
    """What a finalist costs."""

    export_s: float
    verify_s: float
    round_s: float  # of the benchmark
    evaluate_s: float
    size_bytes: int


def shortened(cfg: AppConfig, epochs: int = WARM + MEASURED) -> AppConfig:
    """The configuration at the length that is measured, with nothing that only a whole sweep needs."""
    cfg = copy.deepcopy(cfg)
    cfg.epochs = epochs
    cfg.study.budget, cfg.study.minutes = "epochs", None
    cfg.train.resume = None
    cfg.study.trial_timeout, cfg.study.retries = None, 0
    cfg.benchmark.rounds, cfg.benchmark.precision, cfg.benchmark.extra_seconds = 1, 0.0, 0.0
    return cfg


def spread_out(kinds: Sequence[Kind], gflops: Sequence[float]) -> list[int]:
    """Positions of the kinds to measure: all where they are few, else the least, the largest and some between."""
    order = sorted(range(len(kinds)), key=lambda i: gflops[i] * kinds[i].cfg.batch)
    if len(order) <= MOST_MEASURED:
        return order
    return [order[round(k * (len(order) - 1) / (MOST_MEASURED - 1))] for k in range(MOST_MEASURED)]


def gflops_of(cfg: AppConfig, inputs: Inputs, folder: Path) -> float:
    """Arithmetic of one image in the untrained network."""
    own, names = family(cfg.model.family), inputs.dataset(cfg).class_names
    return own.save_untrained(cfg.training, inputs.start(cfg), names, folder / "untrained.pt").gflops


def measure_training(
    kind: Kind, number: int, context: Context, inputs: Inputs, epochs: int = WARM + MEASURED
) -> tuple[TrialRecord, Training]:
    """Train a kind at toy length.

    Raises:
        StageError: it can't be trained.
    """
    cfg = shortened(kind.cfg, epochs)
    ends: list[float] = []
    trial = trial_of(number, kind.overrides, cfg, context, inputs)
    record = run_trial(trial, context, lambda epoch, row: ends.append(time.perf_counter()))
    if record.state != "complete" or record.checkpoint is None:
        failure = record.failures[-1]
        raise StageError(failure.stage, kind.label, failure.message)
    each = (ends[-1] - ends[0]) / (len(ends) - 1) if len(ends) > 1 else record.timings_s["train"]
    seconds = sum(record.timings_s.values())
    return record, Training(
        gflops=record.checkpoint.gflops,
        epoch_s=each,
        around_s=max(0.0, record.timings_s["train"] - each * len(ends)),
        evaluate_s=record.timings_s["evaluate"],
        size_bytes=size_of(trial.folder),
        watts={name: joules / seconds for name, joules in record.energy_j.items()},
    )


def measure_finalist(kind: Kind, record: TrialRecord, context: Context, inputs: Inputs) -> Finalist:
    """Take a measured training through the finalist stage, with one round of the benchmark."""
    cfg, folder = shortened(kind.cfg), context.trial_folder(record.trial)
    save(context.places.record, frame_of(cfg, context.name, "", now()))
    before, begun = size_of(folder), time.perf_counter()
    (found,) = run_finalists([(record, cfg)], context, inputs, lambda text: None)
    whole = time.perf_counter() - begun
    begun = time.perf_counter()
    evaluate_sweep(context.folder)
    return _finalist(found, whole, time.perf_counter() - begun, size_of(folder) - before)


def _finalist(found: FinalistRecord, whole: float, evaluate: float, size: int) -> Finalist:
    export, verify = found.timings_s["export"], found.timings_s["verify"]
    return Finalist(export, verify, max(0.0, whole - export - verify), evaluate, size)


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
