"""DETR as it was first published has its ResNet under the names of timm, a library that is not needed for it.

transformers has the same network under names of its own. timm's `resnet50` is torchvision's: strides in the 3 x 3
convolutions, no bias, a projection where the size changes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

DEPTHS = {"resnet50": [3, 4, 6, 3], "resnet101": [3, 4, 23, 3]}
BODY = "model.backbone.conv_encoder.model."
STEM = {"conv1": "embedder.embedder.convolution", "bn1": "embedder.embedder.normalization"}
LAYER = re.compile(r"layer(\d)\.(\d+)\.(conv|bn|downsample)\.?(\d)(\..+)")


def without_timm(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration that asks transformers for the backbone that it would ask timm for; others as they are.

    Raises:
        ValueError: it is another backbone than a plain ResNet.
    """
    name = backbone_of_timm(config)
    if not name:
        return dict(config)
    if name not in DEPTHS or config.get("dilation"):
        dilated = " with dilation" if config.get("dilation") else ""
        raise ValueError(f"the backbone {name}{dilated} of timm is not known here, resnet50 and resnet101 are")
    inner = {"model_type": "resnet", "depths": DEPTHS[name], "layer_type": "bottleneck", "out_features": ["stage4"]}
    return {**config, "backbone_config": inner, "use_timm_backbone": False, "backbone": None}


def backbone_of_timm(config: Mapping[str, Any]) -> str:
    """The name of timm's backbone that a configuration of DETR asks for; "" where it asks for none."""
    inner = config.get("backbone_config")
    if config.get("model_type") != "detr":
        return ""
    if isinstance(inner, dict):
        return str(inner.get("backbone", "")) if inner.get("model_type") == "timm_backbone" else ""
    return str(config.get("backbone") or "resnet50") if config.get("use_timm_backbone", True) else ""


def renamed(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors of a file under transformers' own names of a ResNet."""
    return {_renamed(name): value for name, value in weights.items()}


def _renamed(name: str) -> str:
    if not name.startswith(BODY):
        return name
    own = name[len(BODY) :]
    stem, _, rest = own.partition(".")
    if stem in STEM:
        return f"{BODY}{STEM[stem]}.{rest}"
    found = LAYER.fullmatch(own)
    if found is None:
        return name
    stage, layer, part, number, rest = found.groups()
    place = f"{BODY}encoder.stages.{int(stage) - 1}.layers.{layer}"
    if part == "downsample":
        return f"{place}.shortcut.{'convolution' if number == '0' else 'normalization'}{rest}"
    return f"{place}.layer.{int(number) - 1}.{'convolution' if part == 'conv' else 'normalization'}{rest}"
