"""Lets a training that was killed go on where it was, bit for bit.

Ultralytics' own `last.pt` can't do that: it is written in place and holds weights and optimizer in half precision.
Here the whole state of the trainer is kept after every epoch: weights, moving average, optimizer, schedule, early
stopping and every random generator. It is written aside and renamed, so that a kill at any moment leaves the state
of the last whole epoch. Exact on CPU as long as no gradient is carried across epochs (`train.nbs` not above
`batch`).
"""

from __future__ import annotations

import hashlib
import logging
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from src.common.whole_files import copy_whole, whole_file
from src.models.ultralytics.order import order_of

log = logging.getLogger(__name__)

STATE = "state.pt"
BEST = "best.pt"

Row = dict[str, float]


class Keeper:
    """Keeps the state of one training in a folder, and brings it back.

    Args:
        folder: where the state is kept; removed by `forget`.
        history: rows of the epochs so far; the kept rows are put into it on restoring.
        on_row: told of every epoch that need not be trained again, as of one that was.
    """

    def __init__(self, folder: Path, history: list[Row], on_row: Callable[[int, Row], None]) -> None:
        self._folder = folder
        self._history = history
        self._on_row = on_row

    def attach(self, trainer: Any) -> None:
        """Hook into a trainer. Call it after every other callback was added: it must see what they changed."""
        trainer.add_callback("on_train_start", self._restore)
        trainer.add_callback("on_fit_epoch_end", self._keep)
        trainer.kept = self.load  # a loss that is not a number goes back to it

    def forget(self) -> None:
        """Training is finished and its checkpoint saved: the state is no longer needed."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _keep(self, trainer: Any) -> None:
        if trainer.stop or not self._history or int(self._history[-1]["epoch"]) != trainer.epoch + 1:
            return  # after the last epoch comes the final evaluation, which a resumed training repeats
        self._folder.mkdir(parents=True, exist_ok=True)
        best = self._folder / BEST
        if trainer.best_fitness == trainer.fitness or not best.is_file():
            copy_whole(Path(trainer.best), best)
        _save_whole(state_of(trainer, self._history, _sha256(best)), self._folder / STATE)

    def _restore(self, trainer: Any) -> None:
        state = self.load()
        if state is None:
            return
        best = self._folder / BEST
        if not best.is_file() or _sha256(best) != state["best_sha256"]:
            log.warning("the kept state of %s is incomplete; training begins again", self._folder)
            return
        restore_state(trainer, state)
        copy_whole(best, Path(trainer.best))
        self._history[:] = state["history"]
        for row in self._history:
            self._on_row(int(row["epoch"]), {name: value for name, value in row.items() if name != "epoch"})

    def load(self) -> dict[str, Any] | None:
        """The state that is kept, None without one."""
        import torch

        path = self._folder / STATE
        if not path.is_file():
            return None
        loaded: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return loaded


def state_of(trainer: Any, history: list[Row], best_sha256: str) -> dict[str, Any]:
    """Everything that the next epoch depends on, as tensors and plain data."""
    import numpy as np
    import torch
    from ultralytics.utils.torch_utils import unwrap_model

    generator: Any = np.random.get_state()
    name, keys, position, has_gauss, gauss = generator  # Ultralytics draws from the global one
    loader = trainer.train_loader
    return {
        "epoch": trainer.epoch,
        "criterion_updates": int(getattr(getattr(unwrap_model(trainer.model), "criterion", None), "updates", -1)),
        "history": [dict(row) for row in history],
        "best_sha256": best_sha256,
        "best_fitness": float(trainer.best_fitness),
        "model": unwrap_model(trainer.model).state_dict(),
        "ema": trainer.ema.ema.state_dict(),
        "ema_updates": trainer.ema.updates,
        "optimizer": trainer.optimizer.state_dict(),
        "scaler": trainer.scaler.state_dict(),
        "plateau": trainer.plateau.state() if trainer.plateau is not None else [],
        "stopper": [float(trainer.stopper.best_fitness), int(trainer.stopper.best_epoch)],
        "results_csv": Path(trainer.csv).read_text(encoding="utf-8"),
        "buffer": list(getattr(loader.dataset, "buffer", [])),
        "python": list(random.getstate()[1]),
        "numpy": [str(name), torch.from_numpy(keys.astype("int64")), int(position), int(has_gauss), float(gauss)],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_state(trainer: Any, state: dict[str, Any]) -> None:
    """Bring a fresh trainer, at `on_train_start`, to the state kept by `state_of`."""
    from ultralytics.utils.torch_utils import unwrap_model

    model: Any = unwrap_model(trainer.model)
    model.load_state_dict(state["model"])
    if state["criterion_updates"] > 0:  # heads whose loss changes over the epochs, as YOLO26's
        model.criterion = model.init_criterion()
        model.criterion.updates = state["criterion_updates"] - 1
        model.criterion.update()
    trainer.ema.ema.load_state_dict(state["ema"])
    trainer.ema.updates = state["ema_updates"]
    trainer.optimizer.load_state_dict(state["optimizer"])
    trainer.scaler.load_state_dict(state["scaler"])
    trainer.best_fitness = trainer.fitness = state["best_fitness"]
    trainer.stopper.best_fitness, trainer.stopper.best_epoch = state["stopper"]
    if trainer.plateau is not None and state.get("plateau"):
        trainer.plateau.restore(state["plateau"])
    trainer.start_epoch = state["epoch"] + 1
    trainer.scheduler.last_epoch = trainer.start_epoch - 1
    Path(trainer.csv).write_text(state["results_csv"], encoding="utf-8")
    if hasattr(trainer.train_loader.dataset, "buffer"):
        trainer.train_loader.dataset.buffer = list(state["buffer"])
    _restore_generators(trainer, state)


def _restore_generators(trainer: Any, state: dict[str, Any]) -> None:
    import numpy as np
    import torch

    _skip_order(trainer)
    version, _, gauss = random.getstate()
    random.setstate((version, tuple(state["python"]), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.numpy().astype("uint32"), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])


def _skip_order(trainer: Any) -> None:
    """Draw the order of the epochs that are done, without loading an image.

    The sampler draws ahead of what it gives, so that its generator's state alone would not bring back the order.
    """
    loader, epochs = trainer.train_loader, trainer.start_epoch
    if (order := order_of(loader)) is not None:
        loader.reset()  # calibration of quantisation-aware training has read from it
        order.at(epochs, min(trainer.options.qat_batches, len(loader)))
        return
    if loader.iterator is None:
        loader.iterator = loader._get_iterator()
    for _ in range(epochs * len(loader)):
        next(loader.iterator._sampler_iter)


def _save_whole(state: dict[str, Any], path: Path) -> None:
    import torch

    with whole_file(path, sync=True) as aside, open(aside, "wb") as stream:
        torch.save(state, stream)


def _sha256(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
