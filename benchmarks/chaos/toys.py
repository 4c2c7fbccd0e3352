"""The arithmetic of a sweep, replaced: trainings, detections and latencies that follow from configuration and seed.

They leave the files that the real ones leave, in the same order: weights written in place every epoch, a state beside
them that is written aside and renamed, detections as npz. Where the real training resumes, the toy resumes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.chaos.kill_points import KillPoints
from src.common.hashes import sha256_file
from src.common.whole_files import write_text
from src.config.training import Training
from src.models.base import Start, TrainResult
from src.records.schema import Checkpoint, DatasetRef

EPOCH_S = 0.04
Row = dict[str, float]


def number_of(*parts: object) -> float:
    """A number in [0, 1) that follows from its parts."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


class Trainer:
    """Stands for `src.models.base.Family.train`."""

    def __init__(self, kill_points: KillPoints, *, resumes: bool = True, drifts: bool = False) -> None:
        self._moments, self._resumes, self._drifts = kill_points, resumes, drifts

    def __call__(
        self,
        training: Training,
        dataset: DatasetRef,
        start: Start,
        out: Path,
        threads: int,
        on_epoch: Callable[[int, Row], None],
    ) -> TrainResult:
        """Train: a few sleeps, and a curve."""
        weights, state = out / "weights", out / "state" / "state.pt"
        weights.mkdir(parents=True, exist_ok=True)
        history = self._restore(state, weights, on_epoch)
        for epoch in range(len(history) + 1, training.epochs + 1):
            self._begin_epoch(out, epoch)
            time.sleep(EPOCH_S / 2)
            self._moments.reached("epoch · middle")
            time.sleep(EPOCH_S / 2)
            row = self._row(training, epoch)
            self._write_weights(weights, training, epoch, row)
            history.append({"epoch": float(epoch), **row})
            on_epoch(epoch, row)
            self._moments.reached("epoch · told, not kept")
            if epoch < training.epochs:  # as the real one: the last epoch is evaluated again instead
                self._keep(state, weights, history)
        self._moments.reached("training · done")
        return self._result(training, start.note, out, history)

    def _begin_epoch(self, out: Path, epoch: int) -> None:
        line = f"{out.parent.name} {epoch}\n".encode()
        handle = os.open(self._moments.folder / "epochs.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(handle, line)
        os.close(handle)

    def _row(self, training: Training, epoch: int) -> Row:
        quality = self._quality(training) * (1 - 0.5**epoch)
        noise = number_of(os.getpid()) / 10 if self._drifts else 0.0
        return {
            "train/box_loss": 3.0 - quality,
            "lr": training.lr * (1 - epoch / (training.epochs + 1)),
            "val/mAP50-95": quality + noise,
            "val/mAP50": min(1.0, quality * 1.2),
            "val/precision": quality,
            "val/recall": quality,
            "val/f1": quality,
        }

    def _quality(self, training: Training) -> float:
        parts = training.imgsz, training.lr
        return 0.3 + 0.2 * number_of(*parts) + 0.2 * number_of(*parts, training.seed)

    def _write_weights(self, weights: Path, training: Training, epoch: int, row: Row) -> None:
        """In place, as Ultralytics does."""
        text = (
            json.dumps(
                {"imgsz": training.imgsz, "lr": training.lr, "seed": training.seed, "epoch": epoch, **row}
            ).encode()
            * 20
        )
        for name in ("last.pt", "best.pt"):
            with open(weights / name, "wb") as stream:
                stream.write(text[: len(text) // 2])
                stream.flush()
                self._moments.reached("weights · half written")
                stream.write(text[len(text) // 2 :])

    def _keep(self, state: Path, weights: Path, history: list[Row]) -> None:
        state.parent.mkdir(exist_ok=True)
        aside = state.with_name(f".best.pt.{os.getpid()}.tmp")
        shutil.copyfile(weights / "best.pt", aside)
        aside.replace(state.with_name("best.pt"))
        digest = sha256_file(state.with_name("best.pt"))
        write_text(state, json.dumps({"best_sha256": digest, "history": history}))

    def _restore(self, state: Path, weights: Path, on_epoch: Callable[[int, Row], None]) -> list[Row]:
        if not state.is_file() or not self._resumes:
            return []
        kept = json.loads(state.read_text(encoding="utf-8"))
        best = state.with_name("best.pt")
        # A kill between the two writes leaves the next epoch's weights, which the real one writes for a best epoch too.
        if sha256_file(best) != kept["best_sha256"]:
            return []
        shutil.copyfile(best, weights / "best.pt")
        shutil.copyfile(best, weights / "last.pt")
        history: list[Row] = kept["history"]
        for row in history:
            on_epoch(int(row["epoch"]), {k: v for k, v in row.items() if k != "epoch"})
        return list(history)

    def _result(self, training: Training, start_note: str, out: Path, history: list[Row]) -> TrainResult:
        best = out / "weights" / "best.pt"
        checkpoint = Checkpoint(
            path=str(best),
            sha256=sha256_file(best),
            weights_sha256=sha256_file(best),
            model=training.model.name,
            imgsz=training.imgsz,
            seed=training.seed,
            epochs=len(history),
            best_epoch=len(history),
            start=start_note,
            parameters=1000,
            gflops=0.5,
        )
        return TrainResult(checkpoint, best.with_name("last.pt"), history, [])
