"""Which keys of a configuration mean something when: they are refused where they are set and reach nothing.

In a sweep a key is used where any of its configurations uses it, so that
`train.schedule=linear,plateau train.plateau_patience=3` is a sweep like others.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from omegaconf import OmegaConf

from src.common.root import ROOT
from src.config.devices import CURRENCY_IDLE
from src.config.idle_keys import Idle, refuse_idle_in_all
from src.config.schema import AppConfig, DataConfig, StudyConfig
from src.config.training_checks import WITH_BETAS

KEPT_IN = {"auto": ("onnx/int8", "openvino/int8"), "names": ("onnx/int8", "openvino/int8", "tensorrt/int8")}
FROM_ONNX = ("onnx", "openvino", "tensorrt", "savedmodel")  # formats that begin with the float32 ONNX file
OWN = "yolo coco voc label_studio cvat"  # kinds of datasets that lie in a folder of the user


def _under(group: str, keys: str) -> str:
    return " ".join(f"{group}.{key}" for key in keys.split())


def _of_schedule(name: str, keys: str) -> Idle[AppConfig]:
    names = " ".join(f"train.{name}_{key}" for key in keys.split())
    why = f"shapes schedule={name}, and the schedule is another"
    return Idle(names, lambda c: c.train.schedule == name, why, f"train.schedule={name}")


def _of_data(keys: str, kinds: str, why: str, remedy: str) -> Idle[AppConfig]:
    return Idle(_under("data", keys), lambda c: c.data.kind in kinds.split(), why, remedy)


DATA = (
    _of_data("path", OWN, "is for a dataset of your own, and this one has no path", "data=yolo data.path=…"),
    _of_data("source", "coco128 tiny_person", "is for coco128 and tiny_person", "data=coco128 data.source=FOLDER"),
    _of_data(
        "n_train n_val n_test",
        "digits tiny_person",
        "is for datasets that are made here: digits and tiny_person",
        "leave it out",
    ),
    _of_data("size", "digits", "is the side of digits' scenes", "leave it out"),
    _of_data("one_based", "voc", "is for Pascal VOC's files", "data=voc"),
    _of_data("workspace project version", "roboflow", "is for Roboflow", "data=roboflow"),
    Idle[AppConfig](
        "data.trust_loaders",
        lambda c: c.data.loader is not None,
        "lets the code of a loader run, and there is none",
        "data.loader=NAME",
    ),
)


def _static_int8(c: AppConfig) -> bool:
    return any(target.endswith("/int8") for target in c.export.targets)


def _converted(c: AppConfig) -> list[str]:
    """Formats that something is converted into, also to measure what an architecture costs."""
    costs = [c.study.cost_artifact] if c.study.constraints or c.study.objectives != StudyConfig().objectives else []
    formats = [target.partition("/")[0] for target in [*c.export.targets, *costs]]
    return [name for name in formats if name != "pytorch"]


def _graph(c: AppConfig) -> bool:
    return any(name in FROM_ONNX for name in _converted(c))


def _composes(c: AppConfig) -> bool:
    return c.augment.mosaic > 0 or c.augment.mixup > 0 or c.augment.cutmix > 0


def _lasts(c: AppConfig, epochs: float) -> bool:
    """Whether a training may be longer than so many epochs; one by the clock may."""
    return c.study.budget == "minutes" or c.epochs > epochs


def _keeps(c: AppConfig) -> bool:
    return any(target in KEPT_IN["auto" if c.export.int8.keep == "auto" else "names"] for target in c.export.targets)


def _prunes(c: AppConfig) -> bool:
    by_seed, by_clock = c.study.pruner.value == "wilcoxon", c.study.budget == "minutes"
    return by_seed or by_clock or c.epochs > max(c.study.pruner_warmup, 1)


RULES: tuple[Idle[AppConfig], ...] = (
    *DATA,
    _of_schedule("step", "epochs gamma"),
    _of_schedule("onecycle", "rise start"),
    _of_schedule("exponential", "gamma"),
    _of_schedule("plateau", "factor patience"),
    Idle(
        "train.min_gain",
        lambda c: c.train.patience > 0 or c.train.schedule == "plateau",
        "needs early stopping, which is off",
        "train.patience=5",
    ),
    Idle(
        "train.stop_metric",
        lambda c: c.train.patience > 0 or c.train.schedule == "plateau",
        "is watched by early stopping, which is off",
        "train.patience=5",
    ),
    Idle(
        "train.lrf",
        lambda c: c.train.schedule not in ("step", "exponential"),
        "is where other schedules end: step and exponential end where their factor leads",
        "train.schedule=linear",
    ),
    Idle(
        "train.warmup_momentum",
        lambda c: c.train.warmup_epochs > 0 and c.train.optimizer not in WITH_BETAS,
        "is of a warm-up of SGD, MuSGD or RMSProp, and there is none",
        "train.warmup_epochs=1 train.optimizer=SGD",
    ),
    Idle(
        "train.warmup_epochs",
        lambda c: not c.train.warmup_epochs or _lasts(c, c.train.warmup_epochs),
        "is as long as the training or longer, which would never learn at its rate",
        "more epochs, or a shorter warm-up",
    ),
    Idle(
        "train.patience",
        lambda c: not c.train.patience or _lasts(c, c.train.patience),
        "can't stop a training that is no longer than it",
        "more epochs, less patience, or train.patience=0",
    ),
    Idle("train.warmup_bias_lr", lambda c: c.train.warmup_epochs > 0, "needs a warm-up", "train.warmup_epochs=1"),
    Idle(
        _under("train", "ema_decay ema_tau"),
        lambda c: c.train.ema,
        "is of the moving average, which is off",
        "train.ema=true",
    ),
    Idle("train.nbs", lambda c: not c.train.accumulate, "is set aside by train.accumulate", "train.accumulate=0"),
    Idle(
        "train.dis",
        lambda c: c.train.distill_model,
        "weighs a teacher, and there is none",
        "train.distill_model=PATH/best.pt",
    ),
    Idle("augment.close_mosaic", _composes, "ends mosaics, mixup and cutmix, and there are none", "augment.mosaic=1.0"),
    Idle(
        "train.prefetch",
        lambda c: c.train.workers > 0,
        "is for loader processes, and there are none",
        "train.workers=4",
    ),
    Idle(
        _under("train", "cache_folder cache_limit_gb cache_resize cache_refresh cache_workers"),
        lambda c: c.train.cache != "none",
        "is for a cache, which is off",
        "train.cache=ram, or disk",
    ),
    Idle(
        _under("train", "qat_scheme qat_freeze_bn qat_batches"),
        lambda c: c.train.qat,
        "needs quantisation-aware training, which is off",
        "train=qat",
    ),
    Idle(
        "augment.mosaic9",
        lambda c: c.augment.mosaic > 0,
        "is a share of the mosaics, and there are none",
        "augment.mosaic=1.0",
    ),
    Idle("augment.mixup_alpha", lambda c: c.augment.mixup > 0, "shapes mixup, which is off", "augment.mixup=0.1"),
    Idle(
        _under("export", "int8.weights calibration.folder calibration.images"),
        _static_int8,
        "is for static INT8, which is not exported",
        "export=int8",
    ),
    Idle(
        _under("export", "opset simplify dynamic"),
        _graph,
        "shapes ONNX files and what is made from them, and none is exported",
        "export=onnx",
    ),
    Idle("export.rewrite", _converted, "changes exported networks, and nothing is exported", "export=onnx"),
    Idle("export.int8.keep", _keeps, "is for INT8 of ONNX and OpenVINO, which is not exported", "export=int8"),
    Idle(
        "export.int8.most_kept",
        lambda c: c.export.int8.keep == "auto",
        "bounds keep=auto, which is off",
        "export.int8.keep=auto",
    ),
    Idle(
        "decision.currency",
        lambda c: c.decision.price_per_hour is not None,
        CURRENCY_IDLE,
        "decision.price_per_hour=0.40",
    ),
    Idle(
        "decision.max_p99_ms",
        lambda c: c.decision.min_capacity_rps is not None,
        "bounds the waiting at a demand, and there is none",
        "decision.min_capacity_rps=50",
    ),
    Idle(
        "study.pruner",
        _prunes,
        "looks at trainings after study.pruner_warmup epochs (at least one), and none is longer",
        "more epochs, or study.pruner=none",
    ),
    Idle(
        "study.pruner_threshold",
        lambda c: c.study.pruner.value == "threshold",
        "is for another pruner",
        "study.pruner=threshold",
    ),
    Idle(
        "study.pruner_p", lambda c: c.study.pruner.value == "wilcoxon", "is for another pruner", "study.pruner=wilcoxon"
    ),
    Idle(
        "study.pruner_warmup",
        lambda c: c.study.pruner.value not in ("none", "wilcoxon"),
        "is for pruners that look at epochs, and this is none",
        "study.pruner=median",
    ),
    Idle(
        _under("study", "max_trainings max_hours"),
        lambda c: c.study.until == "decided",
        "bounds further seeds, and the sweep ends with its budget",
        "study.until=decided",
    ),
    Idle(
        "tracking.system_interval_s",
        lambda c: c.tracking.system_metrics,
        "is of system metrics, which are off",
        "tracking.system_metrics=true",
    ),
    Idle(
        _under("tracking", "uri experiment artifacts also"),
        lambda c: c.tracking.enabled,
        "is of MLflow's runs, and tracking is off",
        "tracking=local",
    ),
    Idle("tile_overlap tile_merge", lambda c: c.tile is not None, "shapes tiles, and there are none", "tile=640"),
)


def refuse_unused(cfgs: Iterable[AppConfig]) -> None:
    """Refuse a key that differs from its default and that no configuration heeds.

    Args:
        cfgs: the one of a trial, or those of a sweep.

    Raises:
        UserError: naming the key, its value and the remedy.
    """
    refuse_idle_in_all(cfgs, RULES, brought=brought)


def brought(c: AppConfig, key: str) -> Any:
    """What the chosen file of `conf/` says about a key; None where it says nothing.

    `train=finetune train.patience=0` leaves the recipe's `min_gain` without use, and nobody has typed that one.
    """
    group, *rest = key.split(".")
    found: Any = _file_of(group, getattr(getattr(c, group), "name", "")) if rest else {}
    for part in rest:
        found = found.get(part) if isinstance(found, dict) else None
    return found


@cache
def _file_of(group: str, name: str) -> Any:
    path = ROOT / "conf" / group / f"{name}.yaml"
    return OmegaConf.to_container(OmegaConf.load(path)) if path.is_file() else {}


def refuse_unused_data(data: DataConfig) -> None:
    """Refuse keys of a dataset that this kind does not heed: `data.path=DIR` without `data=yolo` would read digits.

    Raises:
        UserError: naming the key, its value and the remedy.
    """
    refuse_idle_in_all([AppConfig(data=data)], DATA)
