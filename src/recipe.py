"""How a detector is trained: the groups `train` and `augment`, and what of them can't be used together.

Names are Ultralytics' own where it has one. The checks are pure: they look at values only, so that a configuration is
refused before anything heavy is imported; `src.config.check` calls them.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import MISSING

from src.errors import UserError

if TYPE_CHECKING:
    from src.config import AppConfig

SCHEDULES = ("linear", "cosine", "step", "onecycle")
PRECISIONS = ("fp32", "fp16", "bf16")
CACHES = ("ram", "disk", "none")
STOP_METRICS = ("mAP50-95", "mAP50", "precision", "recall", "f1", "loss")
DEVICE = re.compile(r"cpu|auto|cuda(:\d+(,\d+)*)?")


class Optimizer(Enum):
    """Optimizers of Ultralytics for which `lr` means something; `auto` is left out because it ignores lr0."""

    SGD = "SGD"
    Adam = "Adam"
    Adamax = "Adamax"
    AdamW = "AdamW"
    NAdam = "NAdam"
    RAdam = "RAdam"
    RMSProp = "RMSProp"
    MuSGD = "MuSGD"


WITH_BETAS = (Optimizer.Adam, Optimizer.Adamax, Optimizer.AdamW, Optimizer.NAdam, Optimizer.RAdam)


@dataclass
class TrainConfig:
    """Group `train`: the recipe, without its augmentation."""

    name: str = MISSING
    optimizer: Optimizer = Optimizer.AdamW
    momentum: float = 0.9  # of the Adam family: beta 1
    betas: list[float] | None = None  # of the Adam family; null = [momentum, 0.999]
    weight_decay: float = 0.0005
    schedule: str = "linear"  # linear | cosine | step | onecycle
    lrf: float = 0.01  # final learning rate as a share of lr (linear, cosine, onecycle)
    step_epochs: int = 10  # step: epochs between two drops
    step_gamma: float = 0.1  # step: factor of every drop
    onecycle_rise: float = 0.3  # onecycle: share of the epochs in which the rate rises to lr
    onecycle_start: float = 0.04  # onecycle: first rate as a share of lr
    warmup_epochs: float = 0.0  # the rate rises from 0, batch by batch
    warmup_momentum: float = 0.8
    warmup_bias_lr: float = 0.1
    nbs: int = 8  # nominal batch: gradients accumulate until it is reached
    accumulate: int = 0  # batches per optimizer step; 0 = as many as nbs asks for
    ema: bool = True  # evaluate and keep the moving average of the weights
    ema_decay: float = 0.9999
    ema_tau: float = 2000.0  # optimizer steps until the decay has grown to 63 % of ema_decay
    freeze: int = 0  # first layers whose weights stay
    freeze_names: list[str] = field(default_factory=list)  # patterns of parameter names, e.g. model.22.cv3.*
    unfreeze_epoch: int = 0  # 1-based epoch from which frozen layers learn too; 0 = never
    patience: int = 0  # epochs without improvement before stopping; 0 = never
    stop_metric: str = "mAP50-95"  # mAP50-95 | mAP50 | precision | recall | f1 | loss: what has to improve, on val
    min_gain: float = 0.0  # smaller improvements don't count
    amp: str = "fp32"  # fp32 | fp16 | bf16: arithmetic of the forward pass
    cls_pw: float = 0.0  # class weights: inverse frequency to this power; 0 = off, 1 = full
    box: float = 7.5  # gains of the parts of the loss
    cls: float = 0.5
    dfl: float = 1.5
    multi_scale: float = 0.0  # image size varies by this share from batch to batch
    keep_top: int = 0  # checkpoints kept beside best and last, the metric in their names
    keep_state: bool = False  # keep all that is needed to go on for more epochs (three times the weights)
    resume: str | None = None  # folder final_state of an earlier training: go on to `epochs`
    cache: str = "ram"  # ram | disk | none: images as the network gets them
    workers: int = 0  # loader processes; they cost more than they give on small sets
    distill_model: str | None = None  # checkpoint of a larger teacher
    dis: float = 6.0  # gain of the distillation loss
    qat: bool = False  # learn with 8-bit rounding in the forward pass; needs model.weights=PATH
    qat_batches: int = 8  # batches that set the ranges of activations
    plots: bool = True  # PR, F1, P, R curves, confusion matrix, pictures


@dataclass
class AugmentConfig:
    """Group `augment`: what is done to training images. Probabilities and shares are in 0..1."""

    name: str = MISSING
    mosaic: float = 0.0  # probability of four images in one
    close_mosaic: int = 0  # last epochs without mosaic, mixup and cutmix; at most half of all
    mixup: float = 0.0
    cutmix: float = 0.0
    hsv_h: float = 0.0
    hsv_s: float = 0.0
    hsv_v: float = 0.0
    degrees: float = 0.0  # rotation, +/- degrees
    translate: float = 0.0  # +/- share of the side
    scale: float = 0.0  # +/- gain
    shear: float = 0.0  # +/- degrees
    perspective: float = 0.0  # 0..0.001
    fliplr: float = 0.0
    flipud: float = 0.0
    bgr: float = 0.0  # probability of swapped channels


AUGMENT_LIMITS = {"degrees": 180.0, "shear": 89.0, "perspective": 0.001, "scale": 0.99}


def gpus_of(device: str) -> list[int]:
    """Indices of the GPUs that `device` names: cuda is GPU 0; none for cpu and auto."""
    if not device.startswith("cuda"):
        return []
    return [int(part) for part in (device.partition(":")[2] or "0").split(",")]


def check_recipe(cfg: AppConfig) -> None:
    """Refuse values of `train`, `augment` and `device` that make no sense, alone or together.

    Raises:
        UserError: naming the key, its value and the remedy.
    """
    _check_choices(cfg.train)
    _check_ranges(cfg.train)
    _check_augment(cfg.augment)
    _check_device(cfg)
    _check_optimizer(cfg.train)
    _check_schedule(cfg.train, cfg.epochs)
    _check_freeze(cfg.train, cfg.epochs)
    _check_stopping(cfg.train)
    _check_precision(cfg)
    _check_special(cfg)


def _refuse(what: str, value: object, remedy: str) -> None:
    raise UserError(what, value=value, remedy=remedy)


def _check_choices(t: TrainConfig) -> None:
    known = {"schedule": SCHEDULES, "amp": PRECISIONS, "cache": CACHES, "stop_metric": STOP_METRICS}
    for key, choices in known.items():
        if getattr(t, key) not in choices:
            _refuse(f"train.{key} is not known", getattr(t, key), f"one of: {', '.join(choices)}")


def _check_ranges(t: TrainConfig) -> None:
    infinity = math.inf
    ranges: dict[str, tuple[float, float]] = {
        "momentum": (0, 0.99999),
        "weight_decay": (0, 1),
        "lrf": (0, 1),
        "step_epochs": (1, infinity),
        "step_gamma": (1e-9, 1),
        "onecycle_rise": (0, 1),
        "onecycle_start": (0, 1),
        "warmup_epochs": (0, infinity),
        "warmup_momentum": (0, 0.99999),
        "warmup_bias_lr": (0, infinity),
        "nbs": (1, infinity),
        "accumulate": (0, infinity),
        "ema_decay": (0, 0.9999999),
        "ema_tau": (1e-9, infinity),
        "freeze": (0, infinity),
        "unfreeze_epoch": (0, infinity),
        "patience": (0, infinity),
        "min_gain": (0, infinity),
        "cls_pw": (0, 1),
        "box": (0, infinity),
        "cls": (0, infinity),
        "dfl": (0, infinity),
        "multi_scale": (0, 0.9),
        "keep_top": (0, infinity),
        "workers": (0, infinity),
        "dis": (0, infinity),
        "qat_batches": (1, infinity),
    }
    for key, (low, high) in ranges.items():
        _in_range(f"train.{key}", getattr(t, key), low, high)


def _in_range(key: str, value: float, low: float, high: float) -> None:
    if not math.isfinite(value) or not low <= value <= high:
        limits = f"at least {low:g}" if math.isinf(high) else f"between {low:g} and {high:g}"
        _refuse(f"{key} must be {limits}", value, f"for example {key}={low:g}")


def _check_augment(a: AugmentConfig) -> None:
    for key, value in vars(a).items():
        if key == "close_mosaic":
            _in_range("augment.close_mosaic", value, 0, math.inf)
        elif key != "name":
            _in_range(f"augment.{key}", value, 0, AUGMENT_LIMITS.get(key, 1.0))


def _check_device(cfg: AppConfig) -> None:
    if not DEVICE.fullmatch(cfg.device):
        _refuse("device is not known", cfg.device, "device=cpu, auto, cuda, cuda:0 or cuda:0,1")
    gpus = gpus_of(cfg.device)
    if len(set(gpus)) != len(gpus):
        _refuse("device names a GPU twice", cfg.device, "device=cuda:0,1")
    if len(gpus) > 1 and cfg.batch % len(gpus):
        _refuse(f"batch must be a multiple of the {len(gpus)} GPUs", cfg.batch, f"batch={len(gpus) * cfg.batch}")


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


def _check_freeze(t: TrainConfig, epochs: int) -> None:
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


def _check_stopping(t: TrainConfig) -> None:
    if t.min_gain > 0 and not t.patience:
        _refuse("train.min_gain needs early stopping, which is off", t.min_gain, "train.patience=10")


def _check_precision(cfg: AppConfig) -> None:
    if cfg.train.amp == "fp16" and cfg.device == "cpu":
        _refuse("train.amp=fp16 needs a GPU: processors train in fp32 or bf16", cfg.device, "train.amp=fp32")


def _check_special(cfg: AppConfig) -> None:
    """Class weights, distillation and quantisation-aware training: what each needs."""
    t, transformer = cfg.train, cfg.model.yaml.startswith("rtdetr")
    for key in ("cls_pw", "distill_model", "qat"):
        if transformer and getattr(t, key):
            _refuse(f"train.{key} is not to be had for RT-DETR", getattr(t, key), f"leave train.{key} out")
    if t.distill_model is not None and not Path(t.distill_model).is_file():
        _refuse("train.distill_model names no file", t.distill_model, "the path of a larger detector's .pt file")
    if not t.qat:
        return
    if cfg.model.weights in ("auto", "scratch"):
        _refuse("train.qat starts from a finished checkpoint", cfg.model.weights, "model.weights=PATH/best.pt")
    clashes: dict[str, Any] = {"amp": t.amp != "fp32" and t.amp, "distill_model": t.distill_model}
    for key, value in clashes.items():
        if value:
            _refuse(f"train.qat can't be combined with train.{key}", value, f"leave train.{key} out")
    if len(gpus_of(cfg.device)) > 1:
        _refuse("train.qat runs on one device", cfg.device, "device=cuda:0")
