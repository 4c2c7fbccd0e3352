"""Ultralytics' trainers with what its arguments have no word for.

Schedules, EMA, patterns of frozen names, early stopping on a metric of choice, the best few checkpoints,
quantisation-aware training.

Imported only when a training begins. With several GPUs, Ultralytics starts worker processes that build the trainer
again: they find its options in the environment.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

from ultralytics.data import utils as data_module
from ultralytics.engine import trainer as trainer_module
from ultralytics.models.rtdetr.train import RTDETRTrainer
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils import plotting as plotting_module

from src.common.fonts import local_font
from src.config.training import TrainConfig
from src.models import schedule
from src.models.budget import Budget
from src.models.freezing import freeze
from src.models.gradients import Gradients
from src.models.plateau import Plateau
from src.models.ultralytics import freezing, image_cache, losses, parameter_groups
from src.models.ultralytics.handed_over import VARIABLE, hand_over, handed_over
from src.models.ultralytics.order import give_order, order_of
from src.models.ultralytics.qat import Rounding, freeze_statistics
from src.models.ultralytics.stopping import Stopper, stop_value
from src.models.ultralytics.top_checkpoints import TopK
from src.models.ultralytics.weight_files import HalfCopy, leave_imports_alone, strip, without_optimizer

__all__ = ["VARIABLE", "Detector", "Transformer", "hand_over"]

engine: Any = trainer_module  # its names are not exported in the sense of type checkers
plotting: Any = plotting_module
data_utils: Any = data_module

# Ultralytics would look for Arial on the network, 23 MB of it where a class has a name in another script.
plotting.check_font = data_utils.check_font = local_font

image_cache.install()  # what is read and cached of images and labels


def _trust_amp(model: Any) -> bool:
    return True


# Ultralytics tests mixed precision with a network that it downloads; `check_training` has looked at the device.
engine.check_amp = _trust_amp


def _loss_options() -> losses.LossOptions:
    asked = handed_over().loss
    return losses.LossOptions(*asked) if asked else losses.LossOptions()


losses.install(_loss_options)


class Recipe:
    """The additions, to be mixed into a trainer of Ultralytics."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        self.options = handed_over()
        self.budget = Budget(self.options.epochs or 1, self.options.minutes)
        self.rows: list[dict[str, float]] = []  # of the history, which whoever trains keeps
        self.rounding: Rounding | None = None
        self.plateau = self._plateau()
        self.gradients = Gradients()
        self.copy = HalfCopy()
        self.kept: Callable[[], dict[str, Any] | None] | None = None  # reads the state after the last whole epoch
        self._frozen: list[int] = []  # layers, in rising order, that `unfreeze_steps` frees
        self._rounds: ExitStack | None = None
        super().__init__(*args, **kwargs)
        if self.device.type == "cpu":  # where Ultralytics starts no loader processes, whatever is asked for
            self.args.workers = kwargs["overrides"]["workers"]

    def build_optimizer(self: Any, *args: Any, **kwargs: Any) -> Any:
        """Ultralytics' optimizer as the recipe has it."""
        optimizer = super().build_optimizer(*args, **kwargs)  # type: ignore[misc]
        network = engine.unwrap_model(self.model)
        parameter_groups.shape(optimizer, network, self.options.betas, self.options.rates, self.device.type)
        return optimizer

    def setup_model(self: Any) -> Any:
        """The network, in the memory order that this processor convolves fastest.

        Ultralytics knows that order on CUDA only. It writes its checkpoints in the plain order.
        """
        checkpoint = super().setup_model()  # type: ignore[misc]
        if self.options.dropout:
            losses.set_dropout(self.model, self.options.dropout)
        if self.options.channels_last and self.device.type == "cpu":
            import torch

            self.model = self.model.to(memory_format=torch.channels_last)
        return checkpoint

    def _setup_scheduler(self: Any) -> None:
        curve = self._curve()
        if curve is None:
            super()._setup_scheduler()  # type: ignore[misc]
            return
        from torch.optim.lr_scheduler import LambdaLR

        self.lf = curve
        self.scheduler = LambdaLR(self.optimizer, lr_lambda=curve)

    def _plateau(self) -> Plateau | None:
        if self.options.plateau is None:
            return None
        factor, patience, min_gain, _ = self.options.plateau
        return Plateau(factor, patience, min_gain)

    def _curve(self: Any) -> schedule.Curve | None:
        if self.plateau is not None:
            plateau = self.plateau
            plateau.lowest = self.args.lrf
            return lambda epoch: plateau.share
        if self.options.minutes is not None:
            curve = self._plain_curve()
            return lambda epoch: curve(self.budget.done(self.rows))
        if self.options.exponential is not None:
            return schedule.exponential(self.options.exponential)
        if self.options.step is not None:
            return schedule.step(*self.options.step)
        if self.options.onecycle is not None:
            rise, start = self.options.onecycle
            return schedule.onecycle(self.epochs, rise, start, self.args.lrf)
        return None

    def _plain_curve(self: Any) -> schedule.Curve:
        """The schedule on its own scale of epochs, which the minutes that are used are projected on."""
        options = self.options
        recipe = TrainConfig(schedule=options.schedule, lrf=self.args.lrf)
        if options.step is not None:
            recipe.step_epochs, recipe.step_gamma = options.step
        if options.onecycle is not None:
            recipe.onecycle_rise, recipe.onecycle_start = options.onecycle
        if options.exponential is not None:
            recipe.exponential_gamma = options.exponential
        return schedule.curve_of(recipe, options.epochs or 1)

    def get_dataloader(self: Any, path: Any, batch_size: int = 16, rank: int = 0, mode: str = "train") -> Any:
        """Ultralytics' loader as the recipe has it: its order, and what it reads ahead."""
        loader = super().get_dataloader(path, batch_size, rank, mode)  # type: ignore[misc]
        loading = self.options.loading
        loader.pin_memory = loader.pin_memory and loading.pin_memory
        if loading.prefetch and loader.num_workers:
            loader.prefetch_factor = loading.prefetch
        if mode == "train" and self.options.seed >= 0:
            give_order(loader, self.options.seed)
        return loader

    def _close_dataloader_mosaic(self: Any) -> None:
        super()._close_dataloader_mosaic()  # type: ignore[misc]
        if (order := order_of(self.train_loader)) is not None:  # the loader begins anew, and has read ahead
            order.at(self.epoch)

    def _setup_train(self: Any) -> None:
        super()._setup_train()  # type: ignore[misc]
        self._shape_ema()
        if self.options.freeze_names:
            self.freeze_layer_names += freeze(engine.unwrap_model(self.model), self.options.freeze_names)
        if self.options.unfreeze_steps:
            self._frozen = freezing.frozen_layers(engine.unwrap_model(self.model))
        if self.options.stop is not None:
            metric, min_gain = self.options.stop
            self.stopper = Stopper(self.args.patience, min_gain, lambda: stop_value(metric, self.metrics))
        if self.options.qat_batches:
            self.rounding = Rounding(self.options.qat_scheme)
            self.rounding.calibrate(engine.unwrap_model(self.model), self._feed)

    def optimizer_step(self: Any) -> None:
        """Look at the gradients first: Ultralytics cuts them, and mixed precision has them scaled."""
        self.gradients.look(self.model.parameters(), self.scaler.get_scale())
        super().optimizer_step()  # type: ignore[misc]

    def _feed(self: Any, model: Any) -> None:
        for batch in islice(self.train_loader, self.options.qat_batches):
            model(self.preprocess_batch(batch)["img"])

    def _rounded(self: Any, model: Any) -> Any:
        """A block in which a network computes as its INT8 file would, where that is trained."""
        return self.rounding.on(engine.unwrap_model(model)) if self.rounding else nullcontext()

    def _model_train(self: Any) -> None:
        self._unfreeze()
        super()._model_train()  # type: ignore[misc]
        if self.options.qat_freeze_bn and self.epoch >= self.options.qat_freeze_bn:
            freeze_statistics(engine.unwrap_model(self.model))
        if self.rounding and not self._rounds:
            self._rounds = ExitStack()
            self._rounds.enter_context(self._rounded(self.model))

    def validate(self: Any) -> Any:
        """Judge the weights as their INT8 file would compute them, so that the best epoch is the best to export."""
        self.validator.args.plots = False  # Ultralytics would draw the last epoch, which may not be the best
        with self._rounded(self.ema.ema):
            return super().validate()  # type: ignore[misc]

    def _shape_ema(self: Any) -> None:
        """A decay of 0 makes the average the weights themselves."""
        if self.options.ema is not None and self.ema:
            decay, tau = self.options.ema
            self.ema.decay = lambda updates: decay * (1 - math.exp(-updates / tau))

    def _load_checkpoint_state(self: Any, ckpt: Any) -> None:
        if self._rounds:  # the average is a copy of the network, and must be a plain one
            self._rounds.close()
            self._rounds = None
        if self.kept is not None and (state := self.kept()) is not None:
            ckpt = {**ckpt, "optimizer": state["optimizer"]}
        super()._load_checkpoint_state(ckpt)  # type: ignore[misc]
        self._shape_ema()  # recovering from a NaN makes a new average

    def _unfreeze(self: Any) -> None:
        wanted = self.options.unfreeze_epoch
        if wanted and self.epoch + 1 >= wanted and self.freeze_layer_names != [freezing.ALWAYS]:
            freezing.unfreeze(engine.unwrap_model(self.model))
            self.freeze_layer_names = [freezing.ALWAYS]
        if self._frozen:
            self._unfreeze_some(sum(self.epoch + 1 >= epoch for epoch in self.options.unfreeze_steps))

    def _unfreeze_some(self: Any, steps: int) -> None:
        """Free the last of the frozen layers: after the last step all, after half of them half."""
        kept = freezing.still_frozen(self._frozen, steps, len(self.options.unfreeze_steps))
        freezing.unfreeze(engine.unwrap_model(self.model), keep=kept)
        self.freeze_layer_names = [name for name in self.freeze_layer_names if freezing.layer_of(name) in (None, *kept)]

    def save_metrics(self: Any, metrics: Any) -> None:
        """Also let a rate that waits for val know of it: once an epoch, and not of one that is trained again."""
        super().save_metrics(metrics)  # type: ignore[misc]
        if self.plateau is not None:
            self.plateau.epoch(stop_value(self.options.plateau[3], self.metrics))

    def save_model(self: Any) -> bool:
        """Also keep the best few, and leave the optimizer out where the state that is kept has it already."""
        with ExitStack() as stack:
            if self.kept is not None:
                stack.enter_context(without_optimizer(self))
            if self.rounding is None:  # quantisers are taken off the copy
                stack.enter_context(self.copy.of(self.ema.ema, engine))
            saved = bool(super().save_model())  # type: ignore[misc]
        if saved and self.options.keep_top:
            self._top().offer(Path(self.last), self.epoch + 1, float(self.fitness))
        return saved

    def final_eval(self: Any) -> None:
        """Strip the checkpoints. The best one is evaluated on its own afterwards, and drawn from what it finds then."""
        if engine.RANK in {-1, 0} and self.best.exists():
            strip(Path(self.last), Path(self.best))
        if self.options.keep_top and engine.RANK in {-1, 0}:
            for path in self._top().files():
                engine.strip_optimizer(path)

    def _clear_memory(self: Any, threshold: float | None = None) -> None:
        """Collect what no longer is in use, without a walk over all that was imported before the first training."""
        leave_imports_alone()
        super()._clear_memory(threshold)  # type: ignore[misc]

    def plot_training_labels(self) -> None:
        """Nothing: the check of the dataset has drawn its classes and boxes, once for all trials."""

    def plot_metrics(self) -> None:
        """Nothing: `curves` draws them in half of the time, train beside val."""

    def _top(self: Any) -> TopK:
        return TopK(Path(self.wdir) / "top", self.options.keep_top)


class Detector(Recipe, DetectionTrainer):  # type: ignore[misc]
    """Trains the YOLO family."""


class Transformer(Recipe, RTDETRTrainer):  # type: ignore[misc]
    """Trains RT-DETR."""
