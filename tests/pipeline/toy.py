"""`python -m tests.pipeline.toy WORDS…`: `src.run` with a training that only waits, for tests of the engine.

Everything around the training is real: configuration, study, workers, leases, records, tracking. No torch is imported,
so that eight workers start in seconds. Each trial notes in `toy.txt`, beside its sweep's folder, what it was given.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any
from unittest import mock

from src.config.schema import AppConfig
from src.config.training import Training
from src.models.base import EpochHook, Start, TrainResult
from src.pipeline.context import Context
from src.records.schema import Checkpoint, DatasetRef, SweepRecord
from tests.pipeline.families import WithoutNetwork, checkpoint_of

STATE = "epochs.txt"  # in a training's folder: the epochs that were waited for
PAUSE = "TOY_EPOCH_S"  # seconds that an epoch takes


def value_of(cfg: AppConfig | Training) -> float:
    """What a training of this configuration is worth: the smaller the learning rate, the better."""
    return round(0.9 - 0.1 * cfg.lr - cfg.seed / 1000, 6)


def row_of(training: Training, epoch: int) -> dict[str, float]:
    """Figures of an epoch."""
    return {"val/mAP50-95": value_of(training) * epoch / training.epochs, "lr": training.lr}


class ToyFamily(WithoutNetwork):
    """Trains by waiting."""

    def train(
        self, training: Training, dataset: DatasetRef, start: Start, out: Path, threads: int, on_epoch: EpochHook
    ) -> TrainResult:
        """Wait as many epochs as were asked for; what had finished when its process was lost is not trained again."""
        out.mkdir(parents=True, exist_ok=True)
        weights = out / "best.pt"
        begun = time.time()
        if not weights.is_file():
            self._wait(training, on_epoch, out / STATE)
            weights.write_text(f"{training.lr} {training.seed}")
            note_down(out.parents[2] / "toy.txt", out.parent.name, threads, begun)
        made = checkpoint_of(training, weights, "0" * 64, start, best_epoch=1)
        rows = [{"epoch": float(e), **row_of(training, e)} for e in range(1, training.epochs + 1)]
        return TrainResult(made, weights, rows)

    def _wait(self, training: Training, on_epoch: EpochHook, state: Path) -> None:
        """Go on after the epochs that are kept in a file, a line for each that was waited for."""
        done = len(state.read_text().split()) if state.is_file() else 0
        for epoch in range(1, training.epochs + 1):
            if epoch > done:
                time.sleep(float(os.environ.get(PAUSE, "0.05")))
                with open(state, "a", encoding="ascii") as stream:
                    stream.write(f"{epoch}\n")
            on_epoch(epoch, row_of(training, epoch))


FAMILY = ToyFamily()


def note_down(path: Path, trial: str, threads: int, begun: float) -> None:
    """Add a line on a finished training."""
    names = ("DETSWEEP_WORKER", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "RAY_RAYLET_PID", "SUBMITIT_EXECUTOR")
    line = {"trial": trial, "pid": os.getpid(), "ppid": os.getppid(), "threads": threads, "begun": begun}
    line |= {"ended": time.time(), **{name: os.environ.get(name) for name in names}}
    with open(path, "a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")


def toy_evaluate(
    made: Checkpoint, dataset: DatasetRef, split: str, cfg: AppConfig, context: Context, folder: Path
) -> tuple[dict[str, float], Path]:
    """The metrics that a real evaluation would give."""
    return {"mAP50-95": value_of(cfg), "mAP50": 0.9}, folder


def toy_finalise(request: Any, record: SweepRecord, *rest: Any) -> SweepRecord:
    """No finalists: nothing was trained that could be exported."""
    return record


DATASET = DatasetRef("toy", "toy.yaml", "f" * 64, {"train": 1, "val": 1, "test": 1}, ["a"])
PATCHES: dict[str, Any] = {
    "src.models.base.MODULES": {"ultralytics": "tests.pipeline.toy"},
    "src.pipeline.trial.evaluate_checkpoint": toy_evaluate,
    "src.pipeline.trial_pictures.wanted": lambda record, folder: False,
    "src.pipeline.context.resolve": lambda data, outputs: DATASET,
    "src.pipeline.sweep.refuse_ineffective_keys": lambda request, inputs: None,
    "src.pipeline.sweep.report_files": lambda dataset: [],
    "src.pipeline.sweep.picture_files": lambda dataset: [],
    "src.pipeline.finish._finalise": toy_finalise,
}


def main(patches: dict[str, Any] = PATCHES) -> None:
    """Put the toy training in place, and run the command."""
    for target, replacement in patches.items():
        mock.patch(target, replacement).start()
    from src.run import main as run

    run()


if __name__ == "__main__":
    main()
