"""Keys that are set and reach nothing, since what they shape is off.

Whoever sweeps `train.plateau_patience=3,5` under another schedule would read from equal networks that patience doesn't
matter. In a sweep a key is used where any of its configurations uses it, so that
`train.schedule=linear,plateau train.plateau_patience=3` is a sweep like others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from src.common.errors import UserError
from src.config.devices import CURRENCY_IDLE
from src.config.schema import AppConfig, DataConfig

CACHE_KEYS = ("cache_folder", "cache_limit_gb", "cache_resize", "cache_refresh", "cache_workers")
KEPT_IN = {"auto": ("onnx/int8", "openvino/int8"), "names": ("onnx/int8", "openvino/int8", "tensorrt/int8")}


@dataclass(frozen=True)
class Shape:
    """A key, and what must be on for it to mean something.

    Attributes:
        key: dotted name.
        used: whether a configuration heeds it.
        why: what it shapes, to follow its name.
        remedy: what turns that on.
    """

    key: str
    used: Callable[[AppConfig], bool]
    why: str
    remedy: str


def _of_schedule(name: str, *keys: str) -> list[Shape]:
    return [
        Shape(
            f"train.{name}_{key}",
            lambda c: c.train.schedule == name,
            f"shapes schedule={name}, and the schedule is another",
            f"train.schedule={name}",
        )
        for key in keys
    ]


def _of_data(key: str, kinds: str, why: str, remedy: str) -> Shape:
    return Shape(f"data.{key}", lambda c: c.data.kind in kinds.split(), why, remedy)


OWN = "yolo coco voc label_studio cvat"  # kinds of datasets that lie in a folder of the user
DATA = (
    _of_data("path", OWN, "is for a dataset of your own, and this one has no path", "data=yolo data.path=…"),
    _of_data("source", "coco128 tiny_person", "is for coco128 and tiny_person", "data=coco128 data.source=FOLDER"),
    *(
        _of_data(
            key, "digits tiny_person", "is for datasets that are made here: digits and tiny_person", "leave it out"
        )
        for key in ("n_train", "n_val", "n_test")
    ),
    _of_data("size", "digits", "is the side of digits' scenes", "leave it out"),
    _of_data("one_based", "voc", "is for Pascal VOC's files", "data=voc"),
    *(_of_data(key, "roboflow", "is for Roboflow", "data=roboflow") for key in ("workspace", "project", "version")),
    Shape(
        "data.trust_loaders",
        lambda c: c.data.loader is not None,
        "lets the code of a loader run, and there is none",
        "data.loader=NAME",
    ),
)


def _static_int8(c: AppConfig) -> bool:
    return any(target.endswith("/int8") for target in c.export.targets)


def _keeps(c: AppConfig) -> bool:
    return any(target in KEPT_IN["auto" if c.export.int8.keep == "auto" else "names"] for target in c.export.targets)


_INT8 = "is for static INT8, which is not exported"
SHAPES = (
    *DATA,
    *_of_schedule("step", "epochs", "gamma"),
    *_of_schedule("onecycle", "rise", "start"),
    *_of_schedule("exponential", "gamma"),
    *_of_schedule("plateau", "factor", "patience"),
    Shape(
        "train.min_gain",
        lambda c: c.train.patience > 0 or c.train.schedule == "plateau",
        "needs early stopping, which is off",
        "train.patience=10",
    ),
    Shape(
        "train.prefetch",
        lambda c: c.train.workers > 0,
        "is for loader processes, and there are none",
        "train.workers=4",
    ),
    *(
        Shape(
            f"train.{key}",
            lambda c: c.train.cache != "none",
            "is for a cache, which is off",
            "train.cache=ram, or disk",
        )
        for key in CACHE_KEYS
    ),
    *(
        Shape(
            f"train.{key}",
            lambda c: c.train.qat,
            "needs quantisation-aware training, which is off",
            "train=qat",
        )
        for key in ("qat_scheme", "qat_freeze_bn", "qat_batches")
    ),
    Shape(
        "augment.mosaic9",
        lambda c: c.augment.mosaic > 0,
        "is a share of the mosaics, and there are none",
        "augment.mosaic=1.0",
    ),
    Shape("augment.mixup_alpha", lambda c: c.augment.mixup > 0, "shapes mixup, which is off", "augment.mixup=0.1"),
    Shape("export.int8.weights", _static_int8, _INT8, "export=int8"),
    Shape("export.int8.keep", _keeps, "is for INT8 of ONNX and OpenVINO, which is not exported", "export=int8"),
    Shape(
        "export.int8.most_kept",
        lambda c: c.export.int8.keep == "auto",
        "bounds keep=auto, which is off",
        "export.int8.keep=auto",
    ),
    Shape("export.calibration.folder", _static_int8, _INT8, "export=int8"),
    Shape("export.calibration.images", _static_int8, _INT8, "export=int8"),
    Shape(
        "decision.currency",
        lambda c: c.decision.price_per_hour is not None,
        CURRENCY_IDLE,
        "decision.price_per_hour=0.40",
    ),
    Shape(
        "decision.max_p99_ms",
        lambda c: c.decision.min_capacity_rps is not None,
        "bounds the waiting at a demand, and there is none",
        "decision.min_capacity_rps=50",
    ),
    Shape(
        "study.pruner_threshold",
        lambda c: c.study.pruner.value == "threshold",
        "is for another pruner",
        "study.pruner=threshold",
    ),
    Shape(
        "study.pruner_p", lambda c: c.study.pruner.value == "wilcoxon", "is for another pruner", "study.pruner=wilcoxon"
    ),
    Shape(
        "study.pruner_warmup",
        lambda c: c.study.pruner.value not in ("none", "wilcoxon"),
        "is for pruners that look at epochs, and this is none",
        "study.pruner=median",
    ),
    *(
        Shape(
            f"study.{key}",
            lambda c: c.study.until == "decided",
            "bounds further seeds, and the sweep ends with its budget",
            "study.until=decided",
        )
        for key in ("max_trainings", "max_hours")
    ),
    Shape(
        "tracking.system_interval_s",
        lambda c: c.tracking.system_metrics,
        "is of system metrics, which are off",
        "tracking.system_metrics=true",
    ),
    *(
        Shape(
            f"tracking.{key}",
            lambda c: c.tracking.enabled,
            "is of MLflow's runs, and tracking is off",
            "tracking=local",
        )
        for key in ("uri", "experiment", "artifacts", "also")
    ),
    Shape("tile_overlap", lambda c: c.tile is not None, "shapes tiles, and there are none", "tile=640"),
    Shape("tile_merge", lambda c: c.tile is not None, "shapes tiles, and there are none", "tile=640"),
)


_PLAIN = AppConfig()


def refuse_unused(cfgs: Iterable[AppConfig]) -> None:
    """Refuse a key that differs from its default and that no configuration heeds.

    Args:
        cfgs: the one of a trial, or those of a sweep.

    Raises:
        UserError: naming the key, its value and the remedy.
    """
    idle: dict[str, Any] = {}  # key -> value
    heeded: set[str] = set()
    for cfg in cfgs:
        for shape in SHAPES:
            value = attrgetter(shape.key)(cfg)
            if value != attrgetter(shape.key)(_PLAIN):
                if shape.used(cfg):
                    heeded.add(shape.key)
                else:
                    idle.setdefault(shape.key, value)
    for shape in SHAPES:
        if shape.key in idle and shape.key not in heeded:
            raise UserError(f"{shape.key} {shape.why}", value=idle[shape.key], remedy=shape.remedy)


def refuse_unused_data(data: DataConfig) -> None:
    """Refuse keys of a dataset that this kind does not heed: `data.path=DIR` without `data=yolo` would read digits.

    Raises:
        UserError: naming the key, its value and the remedy.
    """
    cfg = AppConfig(data=data)
    for shape in DATA:
        value = attrgetter(shape.key)(cfg)
        if value != attrgetter(shape.key)(_PLAIN) and not shape.used(cfg):
            raise UserError(f"{shape.key} {shape.why}", value=f"{shape.key}={value}", remedy=shape.remedy)
