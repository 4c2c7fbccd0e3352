"""Goes on with a finished training for more epochs: from the state that `train.keep_state` left.

The state is the one that `resume` keeps (weights, average, optimizer, generators), taken after the last epoch. The
learning-rate curve is the one of the new number of epochs, taken up at the epoch where the earlier training ended.
"""

from __future__ import annotations

import functools
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.common.errors import UserError
from src.common.whole_files import whole_folder
from src.config.training import Training
from src.models.ultralytics.checkpoint import load_checkpoint
from src.models.ultralytics.resume import BEST, STATE, Keeper, Row

FOLDER = "final_state"


class FinalKeeper(Keeper):
    """Keeps the state after the last epoch, where `Keeper` keeps those before it."""

    def attach(self, trainer: Any) -> None:
        """Hook into a trainer, after every other callback."""
        trainer.add_callback("on_fit_epoch_end", self._keep_last)

    def _keep_last(self, trainer: Any) -> None:
        if not trainer.stop or not self._history or int(self._history[-1]["epoch"]) != trainer.epoch + 1:
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        trainer.stop = False  # `_keep` leaves the last epoch out
        try:
            self._keep(trainer)
        finally:
            trainer.stop = True


def keep_final(trainer: Any, history: list[Row], out: Path) -> None:
    """Keep the state after the last epoch in `out/final_state`."""
    FinalKeeper(out / FOLDER, history, lambda epoch, row: None).attach(trainer)


def take_up(training: Training, out: Path) -> None:
    """Put the state of the earlier training where `Keeper` finds it, unless this training has begun already."""
    if training.train.resume is None or (out / "state" / STATE).is_file():
        return
    source, target = Path(training.train.resume), out / "state"
    shutil.rmtree(target, ignore_errors=True)
    with whole_folder(target) as aside:
        shutil.copytree(source, aside)


def check_resume(training: Training) -> None:
    """Refuse a state that is not there, that is of another network, or that has nothing left to train.

    Raises:
        UserError: naming the key.
    """
    import torch

    assert training.train.resume is not None
    folder = Path(training.train.resume)
    if not (folder / STATE).is_file() or not (folder / BEST).is_file():
        raise UserError(
            "train.resume names no state of a training",
            value=folder,
            remedy=f"the folder {FOLDER} that a training with train.keep_state=true left",
        )
    try:
        done = int(torch.load(folder / STATE, map_location="cpu", weights_only=True)["epoch"]) + 1
    except Exception as error:  # damage shows in many ways
        raise UserError(f"the state can't be read ({type(error).__name__})", value=folder / STATE) from None
    if training.epochs <= done:
        raise UserError(
            f"the training to go on with has {done} epochs already",
            value=f"epochs={training.epochs}",
            remedy="more epochs",
        )
    _check_same(training, folder)


def _check_same(training: Training, folder: Path) -> None:
    """Weights and optimizer of the state must fit; of another size its epochs would be told as those of this one."""
    before = _earlier(folder / BEST).args
    asked = {
        "model": (training.model.architecture, "model.architecture"),
        "imgsz": (training.imgsz, "imgsz"),
        "optimizer": (training.train.optimizer.value, "train.optimizer"),
    }
    for name, (value, key) in asked.items():
        was = getattr(before, name, value)
        if was != value:
            raise UserError(
                f"the training to go on with had {key}={was}",
                value=f"{key}={value}",
                remedy=f"that one, or a new training from its weights: model.weights={folder / BEST}",
            )


@dataclass(frozen=True)
class _Earlier:
    """What the best checkpoint of the earlier training says of it."""

    args: Any  # that it was trained with; None where it keeps none
    classes: int | None


def _earlier(best: Path) -> _Earlier:
    """What a checkpoint says of its training; loaded once, however many checks and cells ask, while it is the same."""
    stat = best.stat()
    return _read_earlier(best, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _read_earlier(best: Path, size: int, mtime_ns: int) -> _Earlier:
    network = load_checkpoint(best)
    classes = getattr(network, "yaml", {}).get("nc")
    return _Earlier(getattr(network, "args", None), None if classes is None else int(classes))


def check_classes(training: Training, class_names: list[str]) -> None:
    """Refuse to go on with a state of other classes.

    Raises:
        UserError: naming the key.
    """
    if training.train.resume is None:
        return
    folder = Path(training.train.resume)
    had = _earlier(folder / BEST).classes
    if had is not None and had != len(class_names):
        raise UserError(
            f"the training to go on with had {had} classes, and the dataset has {len(class_names)}",
            value=f"train.resume={folder}",
            remedy=f"the same dataset, or model.weights={folder / BEST} instead of train.resume",
        )
