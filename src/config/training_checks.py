"""What of a recipe makes no sense, alone or together. Values only are looked at: nothing heavy is imported for it.

`src.config.checks` calls it with the parts of the configuration that it needs.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from src.common.errors import UserError
from src.config.ranges import refuse_outside
from src.config.training import AugmentConfig, Optimizer, TrainConfig, gpus_of

SCHEDULES = ("linear", "cosine", "step", "onecycle", "exponential", "plateau")
BOX_LOSSES = ("iou", "giou", "diou", "ciou")
PRECISIONS = ("fp32", "fp16", "bf16")
CACHES = ("ram", "disk", "none")
QAT_SCHEMES = ("static", "x86", "fbgemm", "qnnpack")
STOP_METRICS = ("mAP50-95", "mAP50", "precision", "recall", "f1", "loss")
DEVICE = re.compile(r"cpu|auto|cuda(:\d+(,\d+)*)?")
WITH_BETAS = (Optimizer.Adam, Optimizer.Adamax, Optimizer.AdamW, Optimizer.NAdam, Optimizer.RAdam)
AUGMENT_LIMITS = {
    "degrees": 180.0, "shear": 89.0, "perspective": 0.001, "scale": 0.99, "noise": 0.5, "blur": 20.0, "contrast": 0.99,
    "crop": 0.45,
}  # fmt: skip


@dataclass(frozen=True)
class Around:
    """What a recipe is checked against."""

    epochs: int
    batch: int
    device: str
    weights: str  # auto | scratch | PATH
    pruner: str


def check_recipe(train: TrainConfig, augment: AugmentConfig, around: Around) -> None:
    """Refuse values of `train`, `augment` and `device` that make no sense, alone or together.

    Raises:
        UserError: naming the key, its value and the remedy.
    """
    _check_choices(train)
    _check_ranges(train)
    _check_augment(augment)
    _check_device(around)
    _check_several_gpus(train, around)
    _check_optimizer(train)
    _check_schedule(train, around.epochs)
    _check_freeze(train, around.epochs)
    _check_precision(train, around.device)
    _check_special(train, around)


_PLAIN = SimpleNamespace(train=TrainConfig(), augment=AugmentConfig())


def _refuse(what: str, value: object, remedy: str) -> None:
    raise UserError(what, value=value, remedy=remedy)


def _check_choices(t: TrainConfig) -> None:
    known = {
        "schedule": SCHEDULES,
        "amp": PRECISIONS,
        "cache": CACHES,
        "stop_metric": STOP_METRICS,
        "qat_scheme": QAT_SCHEMES,
    }
    for key, choices in known.items():
        if getattr(t, key) not in choices:
            _refuse(f"train.{key} is not known", getattr(t, key), f"one of: {', '.join(choices)}")
    if t.box_loss is not None and t.box_loss not in BOX_LOSSES:
        _refuse("train.box_loss is not known", t.box_loss, f"one of: {', '.join(BOX_LOSSES)}; null = the network's own")


def _check_ranges(t: TrainConfig) -> None:
    infinity = math.inf
    ranges: dict[str, tuple[float, float]] = {
        "momentum": (0, 0.99999),
        "weight_decay": (0, 1),
        "lr_backbone": (1e-6, 1000),
        "lr_head": (1e-6, 1000),
        "lrf": (0, 1),
        "step_epochs": (1, infinity),
        "step_gamma": (1e-9, 1),
        "onecycle_rise": (0, 1),
        "onecycle_start": (0, 1),
        "exponential_gamma": (1e-9, 1),
        "plateau_factor": (1e-9, 0.999),
        "plateau_patience": (1, infinity),
        "warmup_epochs": (0, infinity),
        "warmup_momentum": (0, 0.99999),
        "warmup_bias_lr": (0, 1000),
        "nbs": (1, 1_000_000),
        "accumulate": (0, 1_000_000),
        "ema_decay": (0, 0.9999999),
        "ema_tau": (1e-9, infinity),
        "freeze": (0, infinity),
        "unfreeze_epoch": (0, infinity),
        "patience": (0, infinity),
        "min_gain": (0, infinity),
        "cls_pw": (0, 1),
        "box": (0, 1_000_000),
        "cls": (0, 1_000_000),
        "dfl": (0, 1_000_000),
        "focal_gamma": (0, 10),
        "focal_alpha": (0, 0.999),
        "label_smoothing": (0, 0.5),
        "dropout": (0, 0.9),
        "multi_scale": (0, 0.9),
        "keep_top": (0, infinity),
        "workers": (0, 1024),
        "cache_limit_gb": (0, infinity),
        "cache_workers": (0, 1024),
        "prefetch": (0, 1024),
        "dis": (0, 1_000_000),
        "qat_batches": (1, infinity),
        "qat_freeze_bn": (0, infinity),
    }
    refuse_outside({f"train.{key}": (getattr(t, key), *limits) for key, limits in ranges.items()}, _PLAIN)


def _check_augment(a: AugmentConfig) -> None:
    others = {"close_mosaic": (0, math.inf), "mixup_alpha": (1e-3, 1000)}
    shares = {key: (0, AUGMENT_LIMITS.get(key, 1.0)) for key in vars(a) if key != "name"}
    refuse_outside({f"augment.{key}": (getattr(a, key), *limits) for key, limits in (shares | others).items()}, _PLAIN)


def _check_device(around: Around) -> None:
    device = around.device
    if not DEVICE.fullmatch(device):
        _refuse("device is not known", device, "device=cpu, auto, cuda, cuda:0 or cuda:0,1")
    gpus = gpus_of(device)
    if len(set(gpus)) != len(gpus):
        _refuse("device names a GPU twice", device, "device=cuda:0,1")


def _check_several_gpus(t: TrainConfig, around: Around) -> None:
    """Worker processes train, one for each GPU, and nothing comes back from them before the end."""
    n = len(gpus_of(around.device))
    if n < 2:
        return
    if around.batch % n:
        _refuse(f"batch must be a multiple of the {n} GPUs", around.batch, f"batch={n * around.batch}")
    alone = {"qat": t.qat, "resume": t.resume, "keep_state": t.keep_state, "epoch_curves": t.epoch_curves}
    for key, value in alone.items():
        if value:
            _refuse(f"train.{key} works on one device only", around.device, "device=cuda:0")
    if t.schedule == "plateau":
        _refuse(
            "schedule=plateau works on one device only: the others don't hear of val", around.device, "device=cuda:0"
        )
    if around.pruner != "none":
        _refuse("study.pruner can't stop a training on several GPUs", around.pruner, "study.pruner=none")


def _check_optimizer(t: TrainConfig) -> None:
    if t.betas is None:
        return
    if len(t.betas) != 2 or not all(math.isfinite(b) and 0 <= b < 1 for b in t.betas):
        _refuse("train.betas must be two numbers of at least 0 and below 1", t.betas, "train.betas=[0.9,0.999]")
    if t.optimizer not in WITH_BETAS:
        names = ", ".join(o.value for o in WITH_BETAS)
        _refuse(f"train.betas means nothing to {t.optimizer.value}", t.betas, f"an optimizer of: {names}; or momentum")


def _check_schedule(t: TrainConfig, epochs: int) -> None:
    if t.schedule == "onecycle" and t.warmup_epochs > 0:
        _refuse(
            "schedule=onecycle rises by itself and can't be combined with a warm-up",
            f"train.warmup_epochs={t.warmup_epochs:g}",
            "train.warmup_epochs=0",
        )
    if t.schedule == "step" and t.step_epochs >= epochs > 1:
        _refuse(
            f"the rate would never drop in {epochs} epochs",
            f"train.step_epochs={t.step_epochs}",
            f"train.step_epochs={max(epochs // 3, 1)}, or another train.schedule",
        )
    if t.schedule == "plateau" and t.plateau_patience >= epochs > 1:
        _refuse(
            f"the rate would never drop in {epochs} epochs",
            f"train.plateau_patience={t.plateau_patience}",
            f"train.plateau_patience={max(epochs // 5, 1)}, or another train.schedule",
        )
    if t.schedule == "plateau" and t.patience and t.patience <= t.plateau_patience:
        _refuse(
            "early stopping would come before the rate drops",
            f"train.patience={t.patience}",
            f"train.patience={2 * t.plateau_patience} or more, or a smaller train.plateau_patience",
        )


def _check_freeze(t: TrainConfig, epochs: int) -> None:
    _check_unfreeze_steps(t, epochs)
    if not t.unfreeze_epoch:
        return
    if not t.freeze and not t.freeze_names:
        _refuse("train.unfreeze_epoch is set, and nothing is frozen", t.unfreeze_epoch, "train.freeze=10")
    if not 2 <= t.unfreeze_epoch <= epochs:
        _refuse(
            f"train.unfreeze_epoch must lie in 2..{epochs}, the epochs of this training",
            t.unfreeze_epoch,
            "train.unfreeze_epoch=0 keeps them frozen",
        )


def _check_unfreeze_steps(t: TrainConfig, epochs: int) -> None:
    steps = t.unfreeze_steps
    if not steps:
        return
    if t.unfreeze_epoch:
        _refuse("train.unfreeze_epoch frees everything at once: with unfreeze_steps it is 0", steps, "one of the two")
    if not t.freeze and not t.freeze_names:
        _refuse("train.unfreeze_steps is set, and nothing is frozen", steps, "train.freeze=10")
    if sorted(set(steps)) != list(steps) or steps[0] < 2 or steps[-1] > epochs:
        _refuse(
            f"train.unfreeze_steps must be rising epochs in 2..{epochs}, the epochs of this training",
            steps,
            f"for example train.unfreeze_steps={sorted({max(2, epochs // 3), max(2, 2 * epochs // 3)})}"
            if epochs > 1
            else "more epochs",
        )


def _check_precision(t: TrainConfig, device: str) -> None:
    if t.amp == "fp16" and device == "cpu":
        _refuse("train.amp=fp16 needs a GPU: processors train in fp32 or bf16", device, "train.amp=fp32")


def _check_special(t: TrainConfig, around: Around) -> None:
    """Class weights, distillation and quantisation-aware training: what each needs."""
    if t.distill_model is not None and not Path(t.distill_model).is_file():
        _refuse("train.distill_model names no file", t.distill_model, "the path of a larger detector's .pt file")
    if not t.qat:
        return
    if t.qat_freeze_bn >= around.epochs > 0 and t.qat_freeze_bn:
        _refuse(
            f"train.qat_freeze_bn would freeze nothing: epochs={around.epochs}",
            t.qat_freeze_bn,
            "train.qat_freeze_bn="
            + (f"{around.epochs // 2}, or 0: never" if around.epochs > 1 else "0, or more epochs"),
        )
    if around.weights in ("auto", "scratch"):
        _refuse("train.qat starts from a finished checkpoint", around.weights, "model.weights=PATH/best.pt")
    clashes: dict[str, Any] = {"amp": t.amp != "fp32" and t.amp, "distill_model": t.distill_model}
    for key, value in clashes.items():
        if value:
            _refuse(f"train.qat can't be combined with train.{key}", value, f"leave train.{key} out")
