"""What a training is told: the arguments that Ultralytics knows, and the options that `trainers` adds.

Both together decide what is trained, so that a key that changes neither is known to have no effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.common import encryption, image_loaders
from src.config.training import AugmentConfig, TrainConfig, Training
from src.config.training_checks import WITH_BETAS
from src.models.budget import MOST_EPOCHS
from src.models.devices import check_precision, usable_gpus
from src.records.schema import DatasetRef

SAME_NAME = ("momentum", "weight_decay", "lrf", "warmup_epochs", "cls_pw", "box", "cls", "dfl", "multi_scale")
OWN_AUGMENTATION = ("mosaic9", "mixup_alpha", "noise", "blur", "contrast", "crop")  # not arguments of Ultralytics'
OWN_BOX_LOSS = "ciou"
AMP: dict[str, bool | str] = {"fp32": False, "fp16": "fp16", "bf16": "bf16"}


def check_device(device: str) -> str:
    """What Ultralytics takes for `device`: cpu, or indices of GPUs.

    Raises:
        UserError: CUDA is asked for and not there.
    """
    return ",".join(map(str, usable_gpus(device))) or "cpu"


def check_training(training: Training) -> None:
    """Refuse what only the machine or the network can tell: devices, precisions, names of layers.

    Raises:
        UserError: naming the key, its value and the remedy.
    """
    device = check_device(training.device)
    if training.train.amp != "fp32":
        check_precision(training.train.amp, gpu=device != "cpu")
    if training.train.resume is not None:
        from src.models.ultralytics.more_epochs import check_resume

        check_resume(training)
    if training.train.freeze or training.train.freeze_names:
        from src.models.ultralytics.freezing import check_freeze

        check_freeze(training)


def training_arguments(training: Training, dataset: DatasetRef, start: Path | None, out: Path) -> dict[str, Any]:
    """The complete arguments of an Ultralytics training; what is left out keeps Ultralytics' default."""
    t, device = training.train, check_device(training.device)
    epochs = training.epochs if training.minutes is None else MOST_EPOCHS  # the budget ends it
    return {
        "model": training.model.architecture,
        "pretrained": str(start) if start else False,
        "data": dataset.yaml,
        "imgsz": training.imgsz,
        "epochs": epochs,
        "batch": training.batch,
        "seed": training.seed,
        "device": device,
        "lr0": training.lr,
        **_place(out, device),
        "exist_ok": True,
        "deterministic": True,
        "workers": t.workers,
        "plots": t.plots and not holds_secrets(dataset),
        "verbose": False,
        "patience": t.patience or epochs,
        "cache": False if t.cache == "none" else t.cache,
        **_recipe(t, training.batch),
        **_augmentation(training.augment, epochs),
    }


def holds_secrets(dataset: DatasetRef) -> bool:
    """Whether pictures of a prepared dataset are encrypted: of such a set no training pictures are drawn in clear."""
    if not image_loaders.may_be_shown():
        return True
    return any(encryption.is_secret(path) for path in Path(dataset.yaml).parent.glob("images/*/*"))


def _place(out: Path, device: str) -> dict[str, str]:
    """Where Ultralytics writes. With several GPUs it empties its folder first: then it gets one of its own."""
    folder = out / "gpus" if "," in device else out
    return {"project": str(folder.parent.resolve()), "name": folder.name}  # a relative one would go under runs/


def _recipe(t: TrainConfig, batch: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "optimizer": t.optimizer.value,
        "cos_lr": t.schedule == "cosine",
        "nbs": t.accumulate * batch if t.accumulate else t.nbs,
        "amp": AMP[t.amp],
        "channels_last": None if t.channels_last else False,  # None: on CUDA; on CPU the trainer sees to it
        **{name: getattr(t, name) for name in SAME_NAME},
    }
    if t.warmup_epochs:
        found["warmup_bias_lr"] = t.warmup_bias_lr
        if t.optimizer not in WITH_BETAS:  # the Adam family has no momentum that could rise
            found["warmup_momentum"] = t.warmup_momentum
    if t.freeze:
        found["freeze"] = t.freeze
    if t.distill_model is not None:
        found |= {"distill_model": str(Path(t.distill_model).resolve()), "dis": t.dis}
    return found


def _augmentation(a: AugmentConfig, epochs: int) -> dict[str, Any]:
    found = {name: value for name, value in vars(a).items() if name != "name" and name not in OWN_AUGMENTATION}
    # Ultralytics would otherwise switch mosaic off for the whole of a short training, without a word.
    found["close_mosaic"] = min(a.close_mosaic, epochs // 2)
    return found


@dataclass(frozen=True)
class Loading:
    """How pictures are read and cached: none of it changes what is trained."""

    folder: str | None = None  # of caches; None = in the prepared dataset
    limit_gb: float = 0.0
    resize: bool = True
    refresh: bool = False
    threads: int = 0
    pin_memory: bool = True
    prefetch: int = 0


@dataclass(frozen=True)
class Options:
    """What the recipe asks for and Ultralytics has no argument for; None and empty mean: as Ultralytics does."""

    schedule: str
    betas: tuple[float, float] | None = None
    step: tuple[int, float] | None = None  # epochs, factor
    onecycle: tuple[float, float] | None = None  # rise, start
    exponential: float | None = None  # factor of every epoch
    plateau: tuple[float, int, float, str] | None = None  # factor, patience, smallest gain, metric
    loss: tuple[str | None, float, float, float] | None = None  # fields of LossOptions
    dropout: float = 0.0
    ema: tuple[float, float] | None = None  # decay, tau; decay 0 keeps the weights themselves
    freeze_names: tuple[str, ...] = ()
    unfreeze_epoch: int = 0
    unfreeze_steps: tuple[int, ...] = ()
    stop: tuple[str, float] | None = None  # metric, smallest gain
    keep_top: int = 0
    resume: str = ""
    qat_batches: int = 0  # 0 = no quantisation-aware training
    qat_scheme: str = "static"
    qat_freeze_bn: int = 0  # epochs before the statistics of batch norms stay
    channels_last: bool = False
    rates: tuple[float, float] | None = None  # of the backbone and of the head, as shares of lr
    minutes: float | None = None  # of processor time to train for
    epochs: int = 0  # with minutes: the scale on which the schedule counts
    augment: tuple[tuple[str, float], ...] = ()  # keys of AugmentConfig that Ultralytics has no argument for
    seed: int = -1  # of choices that are drawn by image and epoch; -1 = by one generator, as Ultralytics does
    loading: Loading = Loading()


def training_options(training: Training) -> Options:
    """The options of a recipe; what has no effect in this combination is left out."""
    t = training.train
    return Options(
        schedule=t.schedule,
        betas=(t.betas[0], t.betas[1]) if t.betas is not None else None,
        step=(t.step_epochs, t.step_gamma) if t.schedule == "step" else None,
        onecycle=(t.onecycle_rise, t.onecycle_start) if t.schedule == "onecycle" else None,
        exponential=t.exponential_gamma if t.schedule == "exponential" else None,
        plateau=_plateau(t) if t.schedule == "plateau" else None,
        loss=_loss(t),
        dropout=t.dropout,
        ema=(t.ema_decay, t.ema_tau) if t.ema else (0.0, 1.0),
        freeze_names=tuple(t.freeze_names),
        unfreeze_epoch=t.unfreeze_epoch,
        unfreeze_steps=tuple(t.unfreeze_steps),
        stop=(t.stop_metric, t.min_gain) if t.patience else None,
        keep_top=t.keep_top,
        resume=t.resume or "",
        qat_batches=t.qat_batches if t.qat else 0,
        qat_scheme=t.qat_scheme if t.qat else "static",
        qat_freeze_bn=t.qat_freeze_bn if t.qat else 0,
        channels_last=t.channels_last,
        rates=(t.lr_backbone, t.lr_head) if (t.lr_backbone, t.lr_head) != (1.0, 1.0) else None,
        minutes=training.minutes,
        epochs=0 if training.minutes is None or t.schedule in ("linear", "cosine") else training.epochs,
        augment=_own_augmentation(training.augment),
        seed=training.seed if _drawn_by_image(training) else -1,
        loading=Loading(
            t.cache_folder, t.cache_limit_gb, t.cache_resize, t.cache_refresh, t.cache_workers, t.pin_memory, t.prefetch
        ),
    )


def _plateau(t: TrainConfig) -> tuple[float, int, float, str]:
    return t.plateau_factor, t.plateau_patience, t.min_gain, t.stop_metric


def _loss(t: TrainConfig) -> tuple[str | None, float, float, float] | None:
    """What differs from the network's own loss; `ciou` is YOLO's own, and trains the same to the bit."""
    asked = (t.box_loss if t.box_loss != OWN_BOX_LOSS else None, t.focal_gamma, t.focal_alpha, t.label_smoothing)
    return asked if any(asked) else None


def _own_augmentation(a: AugmentConfig) -> tuple[tuple[str, float], ...]:
    plain = vars(AugmentConfig(name=""))
    return tuple((key, getattr(a, key)) for key in OWN_AUGMENTATION if getattr(a, key) != plain[key])


def _drawn_by_image(training: Training) -> bool:
    """Whether random choices are drawn by image and epoch: where loader processes would draw them in any order."""
    if "," in training.device:  # every GPU has its share of the images, and nothing of that is resumed
        return False
    return training.train.workers > 0 or bool(_own_augmentation(training.augment))
