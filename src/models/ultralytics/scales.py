"""Sizes of an architecture: the last letter of its name says which."""

from __future__ import annotations

from dataclasses import replace

from src.common.errors import UserError
from src.config.training import ModelConfig

SCALES = {"yolov9": "tsmce", "rtdetr": "lx"}  # n s m l x where not named


def scaled(model: ModelConfig) -> ModelConfig:
    """The model at `model.scale`: names of files, and the name in tables, end in another letter.

    Raises:
        UserError: the architecture has no such size.
    """
    stem = model.architecture.removesuffix(".yaml")
    if model.scale is None or model.scale == stem[-1]:
        return model
    letters = next((sizes for name, sizes in SCALES.items() if stem.startswith(name)), "nsmlx")
    if model.scale not in tuple(letters):
        raise UserError(
            f"{stem[:-1]} has no such size", value=f"model.scale={model.scale}", remedy=f"one of: {letters}"
        )
    name = model.name[:-1] if model.name.endswith(stem[-1]) and model.name[-2:-1].isdigit() else f"{model.name}-"
    pretrained = f"{stem[:-1]}{model.scale}.pt"
    return replace(model, name=name + model.scale, architecture=f"{stem[:-1]}{model.scale}.yaml", pretrained=pretrained)
