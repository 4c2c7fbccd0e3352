"""Which weights stay as they are: by pattern of their names, until an epoch or for ever.

Freezing the first layers by count is Ultralytics' own; patterns and unfreezing are added here. Batch norms whose
weights are frozen keep their statistics too, or the frozen part would drift all the same.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.common.errors import UserError
from src.config.training import Training
from src.models.ultralytics.checkpoint import is_prepared, prepare_environment

if TYPE_CHECKING:
    from torch import nn

ALWAYS = ".dfl"  # a fixed convolution that Ultralytics never trains


def matching(names: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """Names that match a shell pattern, or lie below it: `model.22` means the whole layer.

    Raises:
        UserError: a pattern matches nothing.
    """
    names, found = list(names), set()
    for pattern in patterns:
        hits = {n for n in names if fnmatchcase(n, pattern) or fnmatchcase(n, f"{pattern}.*")}
        if not hits:
            raise UserError(
                "train.freeze_names holds a pattern that no weight of the network matches",
                value=pattern,
                remedy=f"names look like {names[0]}, {names[len(names) // 2]} or {names[-1]}; * stands for anything",
            )
        found |= hits
    return [n for n in names if n in found]


def freeze(model: nn.Module, patterns: Iterable[str]) -> list[str]:
    """Freeze the matching parameters; returns the names of the batch norms that are frozen whole."""
    names = set(matching((n for n, _ in model.named_parameters()), patterns))
    for name, parameter in model.named_parameters():
        if name in names:
            parameter.requires_grad = False
    return [name for name, module in model.named_modules() if _is_norm(module) and _all_in(name, module, names)]


def _is_norm(module: Any) -> bool:
    return "BatchNorm" in type(module).__name__


def _all_in(name: str, module: nn.Module, names: set[str]) -> bool:
    own = [f"{name}.{n}" for n, _ in module.named_parameters()]
    return bool(own) and names.issuperset(own)


def unfreeze(model: nn.Module) -> None:
    """Let everything learn again that can."""
    for name, parameter in model.named_parameters():
        if ALWAYS not in name and "teacher_model." not in name and parameter.dtype.is_floating_point:
            parameter.requires_grad = True


def check_freeze(training: Training) -> None:
    """Refuse a count or a pattern that this architecture has no layers for, or that leaves nothing to learn.

    Raises:
        UserError: naming the key.
    """
    names = parameter_names(training.model.architecture)
    layers = 1 + max(int(n.split(".")[1]) for n in names)
    if training.train.freeze >= layers:
        raise UserError(
            f"train.freeze leaves nothing to train: {training.model.architecture} has {layers} layers",
            value=training.train.freeze,
            remedy=f"train.freeze={layers // 2} or less than {layers}",
        )
    frozen = set(matching(names, training.train.freeze_names))
    frozen |= {n for n in names if int(n.split(".")[1]) < training.train.freeze or ALWAYS in n}
    if frozen.issuperset(names):
        raise UserError(
            "train.freeze and train.freeze_names freeze the whole network",
            value=training.train.freeze_names,
            remedy="leave a layer free",
        )


def parameter_names(yaml: str) -> list[str]:
    """Names of an architecture's parameters, from the network built without memory for its weights."""
    if not is_prepared() and "ultralytics" not in sys.modules:
        prepare_environment(Path(tempfile.mkdtemp(prefix="detsweep-")))
    import torch
    from ultralytics.nn.tasks import parse_model, yaml_model_load

    with torch.device("meta"):
        model, _ = parse_model(yaml_model_load(yaml), ch=3, verbose=False)
    return [f"model.{name}" for name, _ in model.named_parameters()]
