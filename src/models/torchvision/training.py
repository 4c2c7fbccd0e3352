"""Trains a detector: a plain loop, the same judge as everywhere, and a state after every epoch.

The networks of transformers speak as torchvision's do, and are trained here too.
"""

from __future__ import annotations

import csv
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.common.errors import StageError
from src.common.hashes import sha256_file
from src.config.training import Training
from src.data import load_split
from src.evaluate.thresholds import Curve
from src.machine.allocator import keep_freed
from src.models import epoch_curves
from src.models.base import EpochHook, Start, TrainResult, licence_of
from src.models.budget import Budget
from src.models.devices import usable_gpus
from src.models.freezing import freeze, unfreeze
from src.models.networks import Networks
from src.models.schedule import curve_of
from src.models.torchvision import checkpoint
from src.models.torchvision.average import Average
from src.models.torchvision.images import Images, as_tensors, batches
from src.models.torchvision.outputs import NETWORKS
from src.models.torchvision.recipe import CLIP, accumulated, build_optimizer, set_rates
from src.models.torchvision.state import State
from src.models.torchvision.validation import KeepCurve, validate
from src.records.schema import Checkpoint, DatasetRef

log = logging.getLogger(__name__)

Row = dict[str, float]


@dataclass
class Progress:
    """Where a training stands."""

    network: Any
    average: Average
    optimizer: Any
    scaler: Any  # of gradients in half precision; does nothing in float32 and bfloat16
    history: list[Row]
    best: float = -math.inf  # mAP50-95 of the best checkpoint
    watched: float = -math.inf  # of early stopping
    watched_epoch: int = 0

    @property
    def epochs(self) -> int:
        """That are done."""
        return len(self.history)


class Trainer:
    """One training.

    Args:
        training: what to train, and how.
        dataset: prepared dataset.
        start: weights to begin with.
        out: folder for everything that this training writes.
        of: the family's networks.
    """

    def __init__(
        self, training: Training, dataset: DatasetRef, start: Start, out: Path, of: Networks = NETWORKS
    ) -> None:
        import torch

        self.training, self.dataset, self.out, self.of = training, dataset, out, of
        self.architecture = start.built(training.model)
        gpus = usable_gpus(training.device)
        self.device = torch.device(f"cuda:{gpus[0]}" if gpus else "cpu")
        keep = training.train.cache == "ram"
        self.images = Images(load_split(dataset, "train"), training.imgsz, keep=keep)
        self.val = Images(load_split(dataset, "val"), training.imgsz, keep=keep)
        self.curve = curve_of(training.train, training.epochs)
        self.budget = Budget(training.epochs, training.minutes, gpu=bool(gpus))
        self.half = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(training.train.amp)
        self.state = State(out)
        self.frozen: set[str] = set()  # norms that are frozen whole
        self.progress = self._begin(start)

    @property
    def best_file(self) -> Path:
        """The best checkpoint."""
        return self.out / "weights" / "best.pt"

    def _begin(self, start: Start) -> Progress:
        """A fresh network, or where an earlier attempt was killed."""
        import torch

        t, names = self.training.train, self.dataset.class_names
        torch.manual_seed(self.training.seed)
        built = (self.architecture, len(names), self.training.imgsz)
        network = self.of.build(*built)
        taken = checkpoint.begin(network, start, built, self.of)
        if taken is not None:
            log.log(logging.WARNING if taken.missing else logging.INFO, "%s: %s", start.note, taken.text())
        network = network.to(self.device)
        if t.freeze_names:
            self.frozen = set(freeze(network, t.freeze_names))
        average = Average(network, t.ema_decay if t.ema else 0.0, t.ema_tau)
        scaler = torch.amp.GradScaler(self.device.type, enabled=self.half is torch.float16)
        progress = Progress(network, average, self._optimizer(network), scaler, [])
        state = self.state.load(self.best_file)
        if state is not None:
            self._restore(progress, state)
        return progress

    def _optimizer(self, network: Any) -> Any:
        return build_optimizer(network, self.training.train, self.training.lr, self.of.backbone)

    def _restore(self, p: Progress, state: dict[str, Any]) -> None:
        if state["thawed"]:
            self._thaw(p)
        p.network.load_state_dict(state["network"])
        p.average.network.load_state_dict(state["average"])
        p.average.updates = state["updates"]
        p.optimizer.load_state_dict(state["optimizer"])
        if p.scaler.is_enabled():
            p.scaler.load_state_dict(state["scaler"])
        p.history[:] = state["history"]
        p.best, p.watched, p.watched_epoch = state["best"], state["watched"], state["watched_epoch"]

    def run(self, on_epoch: EpochHook) -> list[Row]:
        """Train to the end; returns a row per epoch."""
        p = self.progress
        for row in p.history:
            on_epoch(int(row["epoch"]), {name: value for name, value in row.items() if name != "epoch"})
        for images in (self.images, self.val):
            images.read()
        self.budget.begin(p.history)
        while not self.budget.is_used(p.history) and not self._stops(p):
            epoch = p.epochs + 1
            if epoch == self.training.train.unfreeze_epoch:
                self._thaw(p)
            losses, keep = self._train_epoch(p, epoch), self._keep_curve(epoch)
            row = losses | self._validate(p, epoch, keep) | self.budget.used()
            self._take(p, epoch, row)
            on_epoch(epoch, row)
        checkpoint.save(self.best_file.with_name("last.pt"), self._saved(p), self.of)
        return p.history

    def _keep_curve(self, epoch: int) -> KeepCurve | None:
        """What keeps an epoch's curves, where that is asked for; they fall in threshold, and are kept rising."""
        if not self.training.train.epoch_curves:
            return None
        out = self.out

        def keep(found: Curve) -> None:
            values = {name: getattr(found, name)[::-1] for name in epoch_curves.NAMES}
            epoch_curves.keep(out, epoch, found.thresholds[::-1], values)

        return keep

    def _thaw(self, p: Progress) -> None:
        """Frozen layers learn too from here on; the optimizer begins anew over all of them."""
        unfreeze(p.network)
        self.frozen = set()
        p.optimizer = self._optimizer(p.network)

    def _train_epoch(self, p: Progress, epoch: int) -> Row:
        """One pass over the images; mean losses and the rate."""
        import torch

        training, t = self.training, self.training.train
        torch.manual_seed(hash((training.seed, epoch)) & 0x7FFFFFFF)  # regions are drawn at random
        plan = batches(self.images, training.batch, training.seed, epoch)
        step_every = accumulated(t, training.batch)
        sums: dict[str, float] = {}
        rate = training.lr * self.curve(self.budget.done(p.history))
        p.network.train()
        for module in self._frozen_norms(p.network):
            module.eval()
        p.optimizer.zero_grad()
        for k, places in enumerate(plan):
            warm = (epoch - 1 + (k + 1) / len(plan)) / t.warmup_epochs if t.warmup_epochs else 1.0
            set_rates(p.optimizer.param_groups, t, rate, min(1.0, warm))
            x, targets = as_tensors(self.images, places, training.augment, training.seed, epoch)
            with torch.autocast(self.device.type, self.half, enabled=self.half is not None):
                parts = p.network(
                    list(x.to(self.device)), [{n: v.to(self.device) for n, v in target.items()} for target in targets]
                )
            total = torch.stack([part.float() for part in parts.values()]).sum()
            if not math.isfinite(total.item()):
                raise self._diverged("the loss is", epoch)
            p.scaler.scale(total / step_every).backward()
            for name, value in parts.items():
                sums[name] = sums.get(name, 0.0) + value.item() / len(plan)
            if (k + 1) % step_every == 0 or k + 1 == len(plan):
                self._step(p)
        return {"lr": rate, **{f"train/{name}": value for name, value in sums.items()}}

    def _diverged(self, what: str, epoch: int) -> StageError:
        return StageError("train", self.training.model.name, f"{what} not finite in epoch {epoch}; try a smaller lr")

    def _validate(self, p: Progress, epoch: int, keep: KeepCurve | None) -> Row:
        try:
            return validate(p.average.network, self.val, self.dataset, self.device, keep)
        except FloatingPointError:  # the last step of the epoch did it: no loss was computed after it
            raise self._diverged("boxes are", epoch) from None

    def _step(self, p: Progress) -> None:
        import torch

        p.scaler.unscale_(p.optimizer)
        torch.nn.utils.clip_grad_norm_(p.network.parameters(), CLIP)
        p.scaler.step(p.optimizer)
        p.scaler.update()
        p.optimizer.zero_grad()
        p.average.update()

    def _frozen_norms(self, network: Any) -> list[Any]:
        """Batch norms that are frozen whole keep their statistics."""
        return [module for name, module in network.named_modules() if name in self.frozen]

    def _take(self, p: Progress, epoch: int, row: Row) -> None:
        """Enter an epoch: history, best checkpoint, early stopping, and the state to go on from."""
        p.history.append({"epoch": float(epoch), **row})
        t, value = self.training.train, row["val/mAP50-95"]
        if value > p.best or not self.best_file.is_file():
            p.best = value
            checkpoint.save(self.best_file, self._saved(p), self.of)
        watched = row[f"val/{t.stop_metric}"]
        if watched > p.watched + t.min_gain or watched == p.watched == 0:
            p.watched, p.watched_epoch = watched, epoch
        content = {
            "network": p.network.state_dict(),
            "average": p.average.network.state_dict(),
            "updates": p.average.updates,
            "optimizer": p.optimizer.state_dict(),
            "scaler": p.scaler.state_dict(),
            "history": p.history,
            "best": p.best,
            "watched": p.watched,
            "watched_epoch": p.watched_epoch,
            "thawed": 0 < t.unfreeze_epoch <= epoch,
        }
        self.state.keep(content, self.best_file)

    def _stops(self, p: Progress) -> bool:
        patience = self.training.train.patience
        return bool(patience) and p.epochs - p.watched_epoch >= patience

    def _saved(self, p: Progress) -> checkpoint.Saved:
        weights = {name: value.detach().cpu().clone() for name, value in p.average.network.state_dict().items()}
        t = self.training
        return checkpoint.Saved(self.architecture, list(self.dataset.class_names), t.imgsz, weights)


def train(
    training: Training,
    dataset: DatasetRef,
    start: Start,
    out: Path,
    threads: int,
    on_epoch: EpochHook,
    of: Networks = NETWORKS,
) -> TrainResult:
    """Train, or go on where a training in `out` was killed.

    Raises:
        StageError: the loss is not finite.
    """
    import torch

    torch.set_num_threads(threads)
    keep_freed()
    trainer = Trainer(training, dataset, start, out, of)
    history = trainer.run(on_epoch)
    _write_rows(history, out / "results.csv")
    files = sorted(p for p in out.iterdir() if p.suffix in {".png", ".jpg", ".csv"})
    best = trainer.best_file
    made = _checkpoint(training, dataset, start, best, history, of)
    return TrainResult(made, best.with_name("last.pt"), history, files)


def _write_rows(history: list[Row], path: Path) -> None:
    with open(path, "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(history[0]))
        writer.writeheader()
        writer.writerows(history)


def _checkpoint(
    training: Training, dataset: DatasetRef, start: Start, best: Path, history: list[Row], of: Networks
) -> Checkpoint:
    curve = [row["val/mAP50-95"] for row in history]
    model, classes, architecture = training.model, len(dataset.class_names), start.built(training.model)
    parameters, gflops = of.size_of(architecture, classes, training.imgsz)
    return Checkpoint(
        path=str(best),
        sha256=sha256_file(best),
        weights_sha256=checkpoint.weights_hash(best, of),
        model=model.name,
        imgsz=training.imgsz,
        seed=training.seed,
        epochs=len(history),
        best_epoch=int(history[curve.index(max(curve))]["epoch"]),
        start=start.note,
        parameters=parameters,
        gflops=round(gflops, 4),
        family=of.family,
        licence=licence_of(training, start),
        input=of.input_of(training.imgsz),
        output=of.output_of(architecture, classes),
    )
