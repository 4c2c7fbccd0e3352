"""Trains one detector: the only caller of Ultralytics' training.

Ultralytics is told exactly what to do (explicit optimizer, seed, no automatic batch or precision), keeps its hands off
the network, the package installer, its global settings and other trackers (see `checkpoint`), and uses all the threads
that it was given: it would force `cores - 1`.
"""

from __future__ import annotations

import csv
import logging
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from src.common.errors import StageError
from src.common.hashes import sha256_file
from src.common.history import USED
from src.config.training import Training
from src.machine.allocator import keep_freed
from src.machine.open_files import fitting, limit
from src.models import epoch_curves
from src.models.base import EpochHook, Start, TrainResult, licence_of
from src.models.budget import Budget
from src.models.checkpoints import hash_of_weights
from src.models.gradients import complaints
from src.models.training_log import NAME, training_log
from src.models.ultralytics.arguments import training_arguments, training_options
from src.models.ultralytics.checkpoint import load_checkpoint, prepare_environment, quiet_settings
from src.models.ultralytics.export_source import hand_over_network
from src.models.ultralytics.more_epochs import keep_final, take_up
from src.models.ultralytics.network import size_of
from src.models.ultralytics.outputs import describe
from src.models.ultralytics.resume import Keeper
from src.models.ultralytics.transfer import transfer
from src.records.schema import Checkpoint, DatasetRef

log = logging.getLogger(__name__)

STATE_FOLDER = "state"
AHEAD = 4  # batches that a loader process of Ultralytics' reads ahead

# Ultralytics' names -> the field's names, as they reach MLflow and the records.
METRIC_NAMES = {
    "metrics/mAP50-95(B)": "val/mAP50-95",
    "metrics/mAP50(B)": "val/mAP50",
    "metrics/precision(B)": "val/precision",
    "metrics/recall(B)": "val/recall",
}


def train(
    training: Training,
    dataset: DatasetRef,
    start: Start,
    out: Path,
    threads: int,
    on_epoch: EpochHook,
) -> TrainResult:
    """Train `training.model` on `dataset`.

    Args:
        training: what decides the result, apart from the data.
        dataset: prepared dataset in the internal layout.
        start: weights to start from.
        out: folder for everything that this training writes.
        threads: processor threads to use.
        on_epoch: called after every epoch with its 1-based number and its metrics; what it raises ends the training.

    Raises:
        StageError: training failed (not a number in the loss, out of memory, …).
    """
    prepare_environment(out / ".ultralytics")
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # Ultralytics would set it to 1 on import
    quiet_settings()
    keep_freed()
    if start.path is not None:
        _report_start(start.path, training, dataset)
    trainer = _build_trainer(training, dataset, start.path, out, threads)
    history: list[dict[str, float]] = []
    keeper = Keeper(out / STATE_FOLDER, history, on_epoch)
    if not trainer.ddp:  # worker processes could not call back
        _hook(trainer, history, training.model.name)
        _keep_to_budget(trainer, history, gpu=trainer.device.type != "cpu")
        if training.train.epoch_curves:
            _keep_curves(trainer, history, out)
        take_up(training, out)
        if training.train.keep_state:
            keep_final(trainer, history, out)
        keeper.attach(trainer)
        trainer.add_callback("on_train_start", lambda trainer: trainer.budget.begin(history))  # after it is restored
        _tell(trainer, history, on_epoch)
    with training_log(out / NAME, also="ultralytics"):
        trainer.train()
    if trainer.ddp:
        gather(Path(trainer.save_dir), out)
        for row in read_history(out / "results.csv", training.train.lr_head):
            history.append(row)
            on_epoch(int(row["epoch"]), {name: value for name, value in row.items() if name != "epoch"})
    return _result(training, start, history, out)


def forget_state(out: Path) -> None:
    """Remove the state that a training in `out` would go on from: its result is recorded, and it won't be resumed."""
    Keeper(out / STATE_FOLDER, [], lambda epoch, row: None).forget()


def _report_start(start: Path, training: Training, dataset: DatasetRef) -> None:
    """Say what of the starting weights is taken over; a file that does not fit at all is refused here."""
    found = transfer(start, training.model.architecture, len(dataset.class_names), training.model.trust)
    log.log(logging.WARNING if found.missing else logging.INFO, "%s: %s", start.name, found.text())


def _build_trainer(training: Training, dataset: DatasetRef, start: Path | None, out: Path, threads: int) -> Any:
    from ultralytics.utils import torch_utils

    # select_device() calls torch.set_num_threads with this constant at every turn.
    torch_utils.NUM_THREADS = threads  # type: ignore[attr-defined]
    from src.models.ultralytics.trainers import hand_over

    hand_over(training_options(training))
    overrides = training_arguments(training, dataset, start, out)
    overrides["workers"], told = fitting(overrides["workers"], training.train.prefetch or AHEAD, limit())
    if told:
        log.warning("%s", told)
    with training_log(out / NAME, also="ultralytics"):
        return _trainer_class(training.model.architecture)(overrides=overrides)


def _trainer_class(yaml: str) -> Any:
    from src.models.ultralytics import trainers

    return trainers.Transformer if yaml.startswith("rtdetr") else trainers.Detector


def _hook(trainer: Any, history: list[dict[str, float]], model: str) -> None:
    """Enter every epoch into the history."""
    told: set[str] = set()  # kinds of complaint
    trained: list[int] = []  # the final evaluation of best.pt also ends in on_fit_epoch_end, without an epoch trained

    def after_training(trainer: Any) -> None:
        trained[:] = [trainer.epoch + 1]  # an epoch that is repeated after a NaN ends here twice

    def after_validation(trainer: Any) -> None:
        if not trained:
            return
        epoch = trained.pop()
        row = epoch_metrics(trainer) | trainer.gradients.row()
        if bad := [name for name, value in row.items() if "loss" in name and not math.isfinite(value)]:
            raise StageError("train", model, f"{bad[0]} is not finite in epoch {epoch}; try a smaller lr")
        for kind, text in complaints(row, history).items():
            if kind not in told:
                log.warning("%s, epoch %d: %s", model, epoch, text)
            told.add(kind)
        history.append({"epoch": float(epoch), **row})

    trainer.add_callback("on_train_epoch_end", after_training)
    trainer.add_callback("on_fit_epoch_end", after_validation)


def _keep_to_budget(trainer: Any, history: list[dict[str, float]], *, gpu: bool) -> None:
    """Note what every epoch used of the minutes, and end the training when they are used."""
    budget = trainer.budget = Budget(trainer.options.epochs or 1, trainer.options.minutes, gpu=gpu)
    trainer.rows, close_mosaic = history, trainer.args.close_mosaic
    if budget.minutes is None:
        return

    def expect(trainer: Any) -> None:
        if history:  # what counts epochs from the end (mosaics, YOLO26's loss) is told how many there will be
            total = budget.total(history)
            trainer.epochs = trainer.args.epochs = total + 1  # the budget ends it, not the count
            trainer.args.close_mosaic = min(close_mosaic, total // 2)

    def after_epoch(trainer: Any) -> None:
        if history and int(history[-1]["epoch"]) == trainer.epoch + 1 and USED not in history[-1]:
            history[-1].update(budget.used())
            trainer.stop |= budget.is_used(history)
        expect(trainer)

    trainer.add_callback("on_train_epoch_start", expect)
    trainer.add_callback("on_fit_epoch_end", after_epoch)


def _keep_curves(trainer: Any, history: list[dict[str, float]], out: Path) -> None:
    """Keep what the validator knows by threshold; the final evaluation of best.pt is no epoch."""
    kept: list[int] = []

    def after_validation(trainer: Any) -> None:
        found, epoch = trainer.validator.metrics.box, trainer.epoch + 1
        if not history or int(history[-1]["epoch"]) != epoch or kept[-1:] == [epoch] or not len(found.f1_curve):
            return
        kept.append(epoch)
        curves = {"precision": found.p_curve, "recall": found.r_curve, "f1": found.f1_curve}
        epoch_curves.keep(out, epoch, found.px, {name: rows.mean(axis=0) for name, rows in curves.items()})

    trainer.add_callback("on_fit_epoch_end", after_validation)


def _tell(trainer: Any, history: list[dict[str, float]], on_epoch: EpochHook) -> None:
    """Tell of every epoch once its state is kept: whoever ends the training there can go on with it."""

    def after_epoch(trainer: Any) -> None:
        # The final evaluation of best.pt ends here too, without an epoch that is new.
        if history and int(history[-1]["epoch"]) == trainer.epoch + 1 and told[-1:] != [trainer.epoch + 1]:
            told.append(trainer.epoch + 1)
            row = history[-1]
            on_epoch(trainer.epoch + 1, {name: value for name, value in row.items() if name != "epoch"})

    told: list[int] = []
    trainer.add_callback("on_fit_epoch_end", after_epoch)


def epoch_metrics(trainer: Any) -> dict[str, float]:
    """Losses, learning rate and validation metrics of the epoch that just ended, under the field's names."""
    row = {name: float(value) for name, value in trainer.label_loss_items(trainer.tloss, prefix="train").items()}
    rates = [float(value) for value in trainer.lr.values()]
    _, head = trainer.options.rates or (1.0, 1.0)
    row["lr"] = rates[_plain_group(trainer.args.optimizer)] / head
    return row | _renamed({name: float(value) for name, value in (trainer.metrics or {}).items()})


def _plain_group(optimizer: str) -> int:
    """Index of a parameter group that trains with the rate itself: MuSGD's first one has three times as much."""
    return 1 if str(optimizer).lower() == "musgd" else 0


def _renamed(metrics: Mapping[str, float]) -> dict[str, float]:
    row = {METRIC_NAMES.get(name, name): value for name, value in metrics.items()}
    precision, recall = row.get("val/precision", 0.0), row.get("val/recall", 0.0)
    row["val/f1"] = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return row


def read_history(path: Path, head: float = 1.0) -> list[dict[str, float]]:
    """The rows of a training's `results.csv`, as `epoch_metrics` gives them: what several GPUs leave behind.

    Args:
        path: of the file.
        head: share of `lr` that the head, whose rate is the first, trained with.
    """
    with open(path, encoding="utf-8", newline="") as stream:
        rows = [{k.strip(): float(v) for k, v in row.items()} for row in csv.DictReader(stream)]
    found = []
    for row in rows:
        rates = [row.pop(name) for name in list(row) if name.startswith("lr/")]
        row.pop("time", None)
        found.append(_renamed(row) | {"lr": rates[0] / head if rates else 0.0})
    return found


def gather(folder: Path, out: Path) -> None:
    """Move what a training on several GPUs wrote in a folder of its own to where a single one leaves it."""
    for item in folder.iterdir():
        target = out / item.name
        if target.is_dir():
            shutil.rmtree(target)
        item.replace(target)
    folder.rmdir()


def _result(training: Training, start: Start, history: list[dict[str, float]], out: Path) -> TrainResult:
    best = out / "weights" / "best.pt"
    if not best.is_file():
        raise StageError("train", training.model.name, "Ultralytics wrote no checkpoint")
    curve = [row["val/mAP50-95"] for row in history]
    model = load_checkpoint(best)
    parameters, gflops = size_of(model, training.imgsz)
    checkpoint = Checkpoint(
        path=str(best),
        sha256=sha256_file(best),
        weights_sha256=hash_of_weights(model.state_dict()),
        model=training.model.name,
        imgsz=training.imgsz,
        seed=training.seed,
        epochs=len(history),
        best_epoch=int(history[curve.index(max(curve))]["epoch"]),
        start=start.note,
        parameters=parameters,
        gflops=round(gflops, 4),
        **describe(model, training.imgsz, licence_of(training, start)),
    )
    hand_over_network(checkpoint.path, checkpoint.sha256, model)
    files = sorted(p for p in out.iterdir() if p.suffix in {".png", ".jpg", ".csv"})
    return TrainResult(checkpoint, best.with_name("last.pt"), history, files)


def weights_hash(path: Path) -> str:
    """sha256 over the names, types, shapes and bytes of a checkpoint's tensors.

    The file itself also holds a date and folders, so two bit-identical trainings have different files.
    """
    return hash_of_weights(load_checkpoint(path).state_dict())
