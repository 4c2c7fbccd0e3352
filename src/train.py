"""Trains one detector: the only caller of Ultralytics' training.

Ultralytics is told exactly what to do (explicit optimizer, seed, no automatic batch or precision), keeps its hands off
the network, the package installer, its global settings and other trackers (see `src.ultra`), and uses all the threads
that it was given: it would force `cores - 1`.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.config import AppConfig, TrainConfig
from src.errors import StageError, UserError
from src.records import Checkpoint, DatasetRef, sha256_file
from src.resume import Keeper
from src.ultra import prepare_environment, quiet_settings

EpochHook = Callable[[int, dict[str, float]], None]

# Ultralytics' names -> the field's names, as they reach MLflow and the records.
METRIC_NAMES = {
    "metrics/mAP50-95(B)": "val/mAP50-95",
    "metrics/mAP50(B)": "val/mAP50",
    "metrics/precision(B)": "val/precision",
    "metrics/recall(B)": "val/recall",
}


@dataclass(frozen=True)
class TrainResult:
    """A checkpoint, how it came about, and the files that show it."""

    checkpoint: Checkpoint
    last: Path
    history: list[dict[str, float]]  # one row per epoch; "epoch" is 1-based
    files: list[Path] = field(default_factory=list)  # curves, confusion matrix, pictures, results.csv


def check_device(device: str) -> str:
    """Resolve `device` to what Ultralytics takes.

    Raises:
        UserError: CUDA is asked for and not there.
    """
    if device == "cpu":
        return "cpu"
    import torch

    if not torch.cuda.is_available():
        if device == "auto":
            return "cpu"
        raise UserError("device asks for CUDA, and no CUDA device is usable here", value=device, remedy="device=cpu")
    index = int(device.partition(":")[2] or 0)
    if index >= torch.cuda.device_count():
        raise UserError("device names a GPU that is not there", value=device, remedy="device=cuda:0")
    return str(index)


def train(
    cfg: AppConfig,
    dataset: DatasetRef,
    start: Path | None,
    start_note: str,
    out: Path,
    threads: int,
    on_epoch: EpochHook,
) -> TrainResult:
    """Train `cfg.model` on `dataset`.

    Args:
        cfg: the trial's configuration.
        dataset: prepared dataset in the internal layout.
        start: weights to start from; None trains from scratch.
        start_note: how the start is recorded.
        out: folder for everything that this training writes.
        threads: processor threads to use.
        on_epoch: called after every epoch with its 1-based number and its metrics; what it raises ends the training.

    Raises:
        StageError: training failed (not a number in the loss, out of memory, …).
    """
    prepare_environment(out / ".ultralytics")
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # Ultralytics would set it to 1 on import
    quiet_settings()
    trainer = _build_trainer(cfg, dataset, start, out, threads)
    history: list[dict[str, float]] = []
    _hook(trainer, history, on_epoch, cfg.model.name)
    keeper = Keeper(out / "state", history, on_epoch)
    keeper.attach(trainer)
    with _log_to(out / "ultralytics.log"):
        trainer.train()
    result = _result(trainer, cfg, start_note, history, out)
    keeper.forget()
    return result


def _build_trainer(cfg: AppConfig, dataset: DatasetRef, start: Path | None, out: Path, threads: int) -> Any:
    from ultralytics.utils import torch_utils

    # select_device() calls torch.set_num_threads with this constant at every turn.
    torch_utils.NUM_THREADS = threads  # type: ignore[attr-defined]
    overrides = training_arguments(cfg, dataset, start, out)
    with _log_to(out / "ultralytics.log"):
        return _trainer_class(cfg.model.yaml)(overrides=overrides)


def _trainer_class(yaml: str) -> Any:
    if yaml.startswith("rtdetr"):
        from ultralytics.models.rtdetr.train import RTDETRTrainer

        return RTDETRTrainer
    from ultralytics.models.yolo.detect import DetectionTrainer

    return DetectionTrainer


def training_arguments(cfg: AppConfig, dataset: DatasetRef, start: Path | None, out: Path) -> dict[str, Any]:
    """The complete arguments of an Ultralytics training; what is left out keeps Ultralytics' default."""
    t = cfg.train
    return {
        "model": cfg.model.yaml,
        "pretrained": str(start) if start else False,
        "data": dataset.yaml,
        "imgsz": cfg.imgsz,
        "epochs": cfg.epochs,
        "batch": cfg.batch,
        "seed": cfg.seed,
        "device": check_device(cfg.device),
        "lr0": cfg.lr,
        "project": str(out.parent.resolve()),  # a relative one would be put under runs/
        "name": out.name,
        "exist_ok": True,
        "deterministic": True,
        "workers": 0,  # loader processes cost more than they give on small sets, and none can be left behind
        "amp": False,  # its check may download weights
        "plots": t.plots,
        "verbose": False,
        "patience": t.patience or cfg.epochs,
        "cache": False if t.cache == "none" else t.cache,
        **_recipe(t),
    }


def _recipe(t: TrainConfig) -> dict[str, Any]:
    names = ("momentum", "weight_decay", "lrf", "cos_lr", "warmup_epochs", "nbs", "close_mosaic", "mosaic", "mixup")
    augment = ("hsv_h", "hsv_s", "hsv_v", "degrees", "translate", "scale", "fliplr", "flipud")
    return {"optimizer": t.optimizer.value, **{name: getattr(t, name) for name in names + augment}}


def _hook(trainer: Any, history: list[dict[str, float]], on_epoch: EpochHook, model: str) -> None:
    trained: list[int] = []  # the final evaluation of best.pt also ends in on_fit_epoch_end, without an epoch trained

    def after_training(trainer: Any) -> None:
        trained[:] = [trainer.epoch + 1]  # an epoch that is repeated after a NaN ends here twice

    def after_validation(trainer: Any) -> None:
        if not trained:
            return
        epoch = trained.pop()
        row = epoch_metrics(trainer)
        if bad := [name for name, value in row.items() if "loss" in name and not math.isfinite(value)]:
            raise StageError("train", model, f"{bad[0]} is not finite in epoch {epoch}; try a smaller lr")
        history.append({"epoch": float(epoch), **row})
        on_epoch(epoch, row)

    trainer.add_callback("on_train_epoch_end", after_training)
    trainer.add_callback("on_fit_epoch_end", after_validation)


def epoch_metrics(trainer: Any) -> dict[str, float]:
    """Losses, learning rate and validation metrics of the epoch that just ended, under the field's names."""
    row = {name: float(value) for name, value in trainer.label_loss_items(trainer.tloss, prefix="train").items()}
    row["lr"] = float(next(iter(trainer.lr.values())))
    for name, value in (trainer.metrics or {}).items():
        row[METRIC_NAMES.get(name, name)] = float(value)
    precision, recall = row.get("val/precision", 0.0), row.get("val/recall", 0.0)
    row["val/f1"] = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return row


def _result(trainer: Any, cfg: AppConfig, start_note: str, history: list[dict[str, float]], out: Path) -> TrainResult:
    best = out / "weights" / "best.pt"
    if not best.is_file():
        raise StageError("train", cfg.model.name, "Ultralytics wrote no checkpoint")
    curve = [row["val/mAP50-95"] for row in history]
    checkpoint = Checkpoint(
        path=str(best),
        sha256=sha256_file(best),
        weights_sha256=weights_hash(best),
        model=cfg.model.name,
        imgsz=cfg.imgsz,
        seed=cfg.seed,
        epochs=len(history),
        best_epoch=int(history[curve.index(max(curve))]["epoch"]),
        start=start_note,
        **_size_of(trainer.model, cfg.imgsz),
    )
    files = sorted(p for p in out.iterdir() if p.suffix in {".png", ".jpg", ".csv"})
    return TrainResult(checkpoint, best.with_name("last.pt"), history, files)


def _size_of(model: Any, imgsz: int) -> dict[str, Any]:
    from ultralytics.utils.torch_utils import get_flops, get_num_params, unwrap_model

    model = unwrap_model(model)
    return {"parameters": int(get_num_params(model)), "gflops": round(float(get_flops(model, imgsz)), 4)}


def weights_hash(path: Path) -> str:
    """sha256 over the names, types, shapes and bytes of a checkpoint's tensors.

    The file itself also holds a date and folders, so two bit-identical trainings have different files.
    """
    from src.ultra import load_checkpoint

    digest = hashlib.sha256()
    for name, tensor in sorted(load_checkpoint(path).state_dict().items()):
        array = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


@contextmanager
def _log_to(path: Path) -> Iterator[None]:
    """Send what Ultralytics says to a file: the terminal shows our own progress."""
    from ultralytics.utils import LOGGER

    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    before, level = LOGGER.handlers[:], LOGGER.level
    LOGGER.handlers[:] = [handler]
    LOGGER.setLevel(logging.INFO)
    try:
        # Some of its progress bars are drawn whatever its verbosity is.
        with redirect_stdout(handler.stream), redirect_stderr(handler.stream):
            yield
    finally:
        LOGGER.handlers[:] = before
        LOGGER.setLevel(level)
        handler.close()
