"""Which keys of `train` and `augment` mean something here, and the optimizer and rates that they ask for.

What the family can't honour is refused when it is asked for, that is when it differs from the schema's default: a key
that is taken in silence would look as if it had been tried.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable
from dataclasses import asdict
from typing import Any

from src.common.errors import UserError
from src.common.hashes import sha256_file
from src.config.training import AugmentConfig, Optimizer, TrainConfig, Training
from src.models.base import Start
from src.models.networks import Networks
from src.records.schema import DatasetRef

OTHERS = "it belongs to Ultralytics' networks"
REFUSED = {  # key of `train` -> why
    "freeze": "layers are not numbered here: use train.freeze_names",
    "cls_pw": "its losses have no weights of classes",
    "box": "its losses have no gains",
    "cls": "its losses have no gains",
    "dfl": OTHERS,
    "multi_scale": "its input has one size",
    "keep_top": "only the best and the last checkpoint are kept",
    "keep_state": "a finished training can't be gone on with yet",
    "resume": "a finished training can't be gone on with yet",
    "workers": "images are read once and kept in memory, by the training itself",
    "distill_model": OTHERS,
    "dis": OTHERS,
    "qat": "quantisation-aware training is for Ultralytics' networks",
    "unfreeze_steps": "frozen layers are freed at once here: use train.unfreeze_epoch",
    "box_loss": "each of its networks has the loss that it was published with",
    "focal_gamma": "each of its networks has the loss that it was published with (retinanet and fcos: focal)",
    "focal_alpha": "each of its networks has the loss that it was published with (retinanet and fcos: focal)",
    "label_smoothing": "each of its networks has the loss that it was published with",
    "dropout": "its networks are built as they were published",
    "cache_folder": "images are kept in the memory of the training itself",
    "cache_limit_gb": "images are kept in the memory of the training itself",
    "cache_resize": "images are kept as the network gets them",
    "cache_refresh": "nothing is cached on disk",
    "cache_workers": "images are read by the training itself",
    "prefetch": "images are read by the training itself",
    "pin_memory": "images are read by the training itself",
}
PASTED = ("mosaic", "mixup", "cutmix")  # keys of `augment` that make one image of several
PLAIN_ONLY = ("mosaic9", "mixup_alpha", "noise", "blur", "contrast", "crop")  # keys of `augment` of Ultralytics' alone
TORCH_NAMES = {Optimizer.RMSProp: "RMSprop"}
FUSED = (Optimizer.Adam, Optimizer.AdamW, Optimizer.SGD)
CLIP = 10.0  # largest norm of the gradient, as Ultralytics clips


def check_recipe(training: Training) -> None:
    """Refuse what this family can't honour.

    Raises:
        UserError: naming the key, its value and the reason.
    """
    t, plain = training.train, vars(TrainConfig(name=""))
    refuse_unless = functools.partial(_refuse, training.model.family)
    refuse_unless(
        t.schedule != "plateau", "train.schedule", "plateau", "its rates are known beforehand: step or cosine"
    )
    for key, why in REFUSED.items():
        refuse_unless(getattr(t, key) == plain[key], f"train.{key}", getattr(t, key), why)
    refuse_unless(t.optimizer is not Optimizer.MuSGD, "train.optimizer", "MuSGD", OTHERS)
    refuse_unless(t.cache != "disk", "train.cache", "disk", "images are kept in memory (ram) or read again (none)")
    refuse_unless(t.stop_metric != "loss", "train.stop_metric", "loss", "it has no loss on val")
    for key in PASTED:
        value = getattr(training.augment, key)
        refuse_unless(not value, f"augment.{key}", value, "images are not pasted together here (try augment=light)")
    for key in PLAIN_ONLY:
        value, usual = getattr(training.augment, key), getattr(AugmentConfig, key)
        refuse_unless(value == usual, f"augment.{key}", value, "it is not built for this family")


def _refuse(family: str, fine: bool, key: str, value: object, why: str) -> None:
    if not fine:
        raise UserError(f"{key} can't be had with model.family={family}: {why}", value=value, remedy=f"leave {key} out")


def accumulated(t: TrainConfig, batch: int) -> int:
    """Batches per step of the optimizer."""
    return t.accumulate or max(1, round(t.nbs / batch))


def build_optimizer(network: Any, t: TrainConfig, lr: float, backbone: tuple[str, ...] = ()) -> Any:
    """The optimizer over weights, norms and biases, in this order; only weights decay.

    Args:
        network: whose parameters learn.
        t: group `train`.
        lr: initial rate.
        backbone: beginnings of the names of its parameters, which have groups of their own where rates differ by part.
    """
    import torch

    learning = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    shares = {True: t.lr_backbone, False: t.lr_head}
    if t.lr_backbone == t.lr_head:
        groups = [{**group, "share": t.lr_head} for group in _groups(learning, t)]
    else:
        parts = {part: [(n, p) for n, p in learning if n.startswith(backbone) is part] for part in shares}
        groups = [{**group, "share": shares[part]} for part in shares for group in _groups(parts[part], t)]
    kind: Any = getattr(torch.optim, TORCH_NAMES.get(t.optimizer, t.optimizer.value))
    # One call for all tensors: of a small network's step on a processor it takes a quarter of the time.
    fused = {"fused": True} if t.optimizer in FUSED else {}
    return kind(groups, lr=lr, **_options(t), **fused)


def _groups(named: Collection[tuple[str, Any]], t: TrainConfig) -> list[dict[str, Any]]:
    biases = [p for name, p in named if name.endswith("bias")]
    norms = [p for name, p in named if not name.endswith("bias") and p.ndim < 2]
    weights = [p for name, p in named if not name.endswith("bias") and p.ndim >= 2]
    groups = [
        {"params": weights, "weight_decay": t.weight_decay},
        {"params": norms, "weight_decay": 0.0},
        {"params": biases, "weight_decay": 0.0, "bias": True},
    ]
    return [group for group in groups if group["params"]]


def _options(t: TrainConfig) -> dict[str, Any]:
    if t.optimizer is Optimizer.SGD:
        return {"momentum": t.momentum, "nesterov": t.momentum > 0}
    if t.optimizer is Optimizer.RMSProp:
        return {"momentum": t.momentum}
    return {"betas": (t.betas[0], t.betas[1]) if t.betas is not None else (t.momentum, 0.999)}


def set_rates(groups: Iterable[dict[str, Any]], t: TrainConfig, rate: float, warm: float) -> None:
    """Set the rate of every group by its part's share, and the momentum of SGD and RMSProp while they warm up.

    Args:
        groups: of the optimizer.
        t: group `train`.
        rate: that the schedule asks for.
        warm: how far the warm-up has come, 0..1.
    """
    for group in groups:
        begin = t.warmup_bias_lr if group.get("bias") else 0.0
        group["lr"] = begin + (rate * group.get("share", 1.0) - begin) * warm
        if "momentum" in group:
            group["momentum"] = t.warmup_momentum + (t.momentum - t.warmup_momentum) * warm


def signature(training: Training, dataset: DatasetRef, start: Start, of: Networks) -> list[Any]:
    """Everything that decides the weights; keys that have no effect in this combination are left out."""
    t = asdict(training.train)
    for key in ("name", "plots", "epoch_curves", "cache", "channels_last", "workers", "nbs", "accumulate"):
        del t[key]
    for key in _without_effect(t):
        del t[key]
    if not t["patience"] or (training.minutes is None and t["patience"] >= training.epochs):
        t = {k: v for k, v in t.items() if k not in ("patience", "stop_metric", "min_gain")}
    by_clock = training.minutes is not None and training.train.schedule in ("linear", "cosine")
    length = [training.minutes, None if by_clock else training.epochs]  # those schedules count shares of the minutes
    rest = [training.imgsz, training.lr, training.seed, *length, training.batch, training.device]
    augment = {k: v for k, v in vars(training.augment).items() if k not in ("name", "close_mosaic")}
    steps = accumulated(training.train, training.batch)
    return [start.built(training.model), str(t), str(augment), rest, steps, _hash(start, of), dataset.fingerprint]


def _hash(start: Start, of: Networks) -> str:
    """Of the weights that it starts from."""
    if start.path is None:
        return ""
    snapshot = of.snapshots if start.path.is_dir() else None
    return snapshot.hashes(start.path) if snapshot is not None else sha256_file(start.path)


def _without_effect(t: dict[str, Any]) -> list[str]:
    """Keys of the recipe that change nothing, given the others."""
    dead = []
    if t["schedule"] != "step":
        dead += ["step_epochs", "step_gamma"]
    if t["schedule"] != "onecycle":
        dead += ["onecycle_rise", "onecycle_start"]
    if t["schedule"] != "exponential":
        dead += ["exponential_gamma"]
    dead += ["plateau_factor", "plateau_patience"]
    if t["schedule"] in ("step", "exponential"):
        dead += ["lrf"]
    if not t["ema"]:
        dead += ["ema_decay", "ema_tau"]
    if not t["warmup_epochs"]:
        dead += ["warmup_momentum", "warmup_bias_lr"]
    if not t["freeze_names"]:
        dead += ["unfreeze_epoch"]
    return dead
