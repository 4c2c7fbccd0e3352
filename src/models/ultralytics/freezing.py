"""Which weights stay as they are: by pattern of their names, until an epoch or for ever.

Freezing the first layers by count is Ultralytics' own; patterns and unfreezing are added here. Batch norms whose
weights are frozen keep their statistics too, or the frozen part would drift all the same.
"""

from __future__ import annotations

import functools
import re
import sys
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from src.common.errors import UserError
from src.config.training import Training
from src.models.freezing import matching
from src.models.ultralytics.checkpoint import is_prepared, prepare_environment

if TYPE_CHECKING:
    from torch import nn

ALWAYS = ".dfl"  # a fixed convolution that Ultralytics never trains


LAYER = re.compile(r"(?:^|\.)model\.(\d+)\.")


def layer_of(name: str) -> int | None:
    """Number of the layer that a parameter or batch norm lies in."""
    found = LAYER.search(f"{name}.")
    return int(found[1]) if found else None


def _learns(name: str, parameter: nn.Parameter) -> bool:
    return ALWAYS not in name and "teacher_model." not in name and parameter.dtype.is_floating_point


def unfreeze(model: nn.Module, keep: Collection[int] = ()) -> None:
    """Let everything learn again that can, but for the layers to keep as they are."""
    for name, parameter in model.named_parameters():
        if _learns(name, parameter) and layer_of(name) not in keep:
            parameter.requires_grad = True


def frozen_layers(model: nn.Module) -> list[int]:
    """Layers that hold a frozen weight, in rising order."""
    names = [n for n, p in model.named_parameters() if _learns(n, p) and not p.requires_grad]
    return sorted({layer for name in names if (layer := layer_of(name)) is not None})


def still_frozen(layers: Sequence[int], steps: int, of: int) -> list[int]:
    """Which layers stay frozen after some of the steps: the first ones longest."""
    return list(layers[: len(layers) - -(-len(layers) * steps // of)])


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
    steps, kept = training.train.unfreeze_steps, {layer_of(n) for n in frozen if ALWAYS not in n}
    if len(steps) > len(kept):
        raise UserError(
            f"train.unfreeze_steps has more steps than there are frozen layers with weights, which are {len(kept)}",
            value=steps,
            remedy=f"at most {len(kept)} epochs, or more frozen layers",
        )


@functools.cache
def parameter_names(yaml: str) -> tuple[str, ...]:
    """Names of an architecture's parameters, from the network built without memory for its weights."""
    if not is_prepared() and "ultralytics" not in sys.modules:
        prepare_environment(Path(tempfile.mkdtemp(prefix="detsweep-")))
    import torch
    from ultralytics.nn.tasks import parse_model, yaml_model_load

    with torch.device("meta"):
        model, _ = parse_model(yaml_model_load(yaml), ch=3, verbose=False)
    return tuple(f"model.{name}" for name, _ in model.named_parameters())
