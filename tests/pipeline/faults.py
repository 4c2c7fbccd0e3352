"""Trainings that take no time, and fail in the way that their learning rate asks for."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from src.common.errors import StageError
from src.config.training import Training
from src.models.base import EpochHook, Start, TrainResult
from src.records.schema import DatasetRef, TrialRecord
from src.records.store import load
from tests.conftest import run_command
from tests.pipeline.families import WithoutNetwork, checkpoint_of

FINE, HANG, LOCKED, DIE, NAN, MEMORY, DATA, DISK, CLOCK = (i / 1000 for i in range(1, 10))
CLOCK_OF_THE_MACHINE = time.time
FAKES = Path(__file__).with_name("fakes")


class FaultyFamily(WithoutNetwork):
    """Trains nothing, with the fault after the first epoch."""

    def train(
        self, training: Training, dataset: DatasetRef, start: Start, out: Path, threads: int, on_epoch: EpochHook
    ) -> TrainResult:
        """Write files, tell the epochs, and fail."""
        weights = out / "weights"
        weights.mkdir(parents=True, exist_ok=True)
        history = []
        for epoch in range(1, training.epochs + 1):
            row = {"lr": training.lr, "val/mAP50-95": 0.1 * epoch, "train/box_loss": 1.0}
            history.append({"epoch": float(epoch), **row})
            on_epoch(epoch, row)
            fail(training, dataset, out)
        for name in ("best.pt", "last.pt"):
            (weights / name).write_bytes(b"weights")
        made = checkpoint_of(training, weights / "best.pt", f"{training.lr:g}", start, training.epochs)
        return TrainResult(made, weights / "last.pt", history)


FAMILY = FaultyFamily()
MODULES = {"ultralytics": "tests.pipeline.faults"}  # takes the place of src.models.base.MODULES


def fail(training: Training, dataset: DatasetRef, out: Path) -> None:
    """The fault that a learning rate stands for."""
    match training.lr:
        case 0.002:
            time.sleep(600)
        case 0.003:
            ctypes.PyDLL(None).sleep(600)  # holds the interpreter's lock: no thread of Python's gets a turn
        case 0.004:
            os.kill(os.getpid(), signal.SIGKILL)
        case 0.005:
            raise StageError("train", training.model.name, "train/box_loss is not finite in epoch 1; try a smaller lr")
        case 0.006:
            limit_memory()
        case 0.007:
            shutil.rmtree(Path(dataset.yaml).parent)
            Path(dataset.yaml).read_text()
        case 0.008:
            (out / "last.pt").write_bytes(b"x" * 100_000_000)
        case 0.009:
            jump()


def jump() -> None:
    """Put the clock two days back, or one day forward where that was done before."""
    clock, days = time.time, -2 if time.time is CLOCK_OF_THE_MACHINE else 3
    time.time = lambda: clock() + days * 86400


def limit_memory() -> None:
    """Ask for more memory than there is."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 50_000_000, hard))
    try:
        bytearray(500_000_000)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def evaluate_checkpoint(*_: Any) -> tuple[dict[str, float], list[Any]]:
    """Metrics of nothing."""
    return {"mAP50-95": 0.3, "mAP50": 0.5, "precision": 0.5, "recall": 0.5, "f1": 0.5}, []


def _finalise(request: Any, record: Any, *_: Any) -> Any:
    """Export and measure nothing."""
    return record


WORDS = [
    *("data.n_train=4", "data.n_val=2", "data.n_test=2", "imgsz=32", "epochs=2", "export=none", "runtime.engines=[]"),
    *("tracking.system_metrics=false", "train.plots=false"),
]
OF_SWEEPS = ("study.report=false", "sweep=faulty")


def run(home: Path, *words: str, timeout: float = 120, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m src.run` with these trainings."""
    words = (*WORDS, *(OF_SWEEPS if "-m" in words else ()), *words, f"outputs={home}/o", f"reports={home}/r")
    return run_command("src.run", *words, timeout=timeout, PYTHONPATH=str(FAKES), **env)


def records(home: Path) -> list[TrialRecord]:
    """The records of the sweep's trials."""
    return [load(TrialRecord, p) for p in sorted((home / "o/sweeps/faulty").glob("trials/*/record.json"))]
