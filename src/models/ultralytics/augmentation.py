"""What is done to training images beyond Ultralytics' arguments: mosaics of nine, mixup's shape, box-safe changes.

They are put into the row of changes that Ultralytics builds, in the places where their like stands.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
from ultralytics.data import augment as augment_module

from src.common.box_safe import KEYS, changed

module: Any = augment_module


class Mosaics(module.Mosaic):  # type: ignore[misc]
    """Mosaics of four images, and a share of them of nine."""

    share = 0.0

    def get_indexes(self) -> list[int]:
        """Which other images: decides first how many there are."""
        self.n = 9 if random.random() < self.share else 4
        found: list[int] = super().get_indexes()
        return found


class MixUp(module.MixUp):  # type: ignore[misc]
    """Mixup with a beta distribution of choice."""

    alpha = 32.0

    def get_params(self, labels: dict[str, Any]) -> dict[str, Any]:
        """The other image, and how much of which is seen."""
        return {**super().get_params(labels), "r": float(np.random.beta(self.alpha, self.alpha))}


class BoxSafe:
    """Noise, blur, contrast and a crop, of random strength."""

    def __init__(self, strengths: Mapping[str, float]) -> None:
        self.strengths = dict(strengths)

    def __call__(self, labels: dict[str, Any]) -> dict[str, Any]:
        """Change an image and its boxes; their number stays."""
        rng = np.random.default_rng(random.getrandbits(64))
        instances: Any = labels["instances"]
        height, width = labels["img"].shape[:2]
        instances.convert_bbox("xyxy")
        instances.denormalize(width, height)
        labels["img"], boxes = changed(labels["img"], instances.bboxes.astype(np.float64), self.strengths, rng)
        instances.update(bboxes=boxes.astype(np.float32))
        return labels


def without_albumentations(changes: Any) -> None:
    """Switch off what Ultralytics adds by itself where albumentations is installed: weights must not depend on it."""
    for change in changes.transforms:
        if isinstance(change, module.Albumentations):
            change.transform = None


def extended(changes: Any, own: Mapping[str, float]) -> Any:
    """Ultralytics' row of changes with those that a recipe asks for beside.

    Args:
        changes: as Ultralytics built them, from mosaic to the tensor.
        own: keys of group `augment` that Ultralytics has no argument for, by their values.
    """
    row = changes.transforms
    for change in [*row, *row[0].transforms]:
        if type(change) is module.Mosaic and own.get("mosaic9"):
            change.__class__, change.share = Mosaics, own["mosaic9"]
        if type(change) is module.MixUp and "mixup_alpha" in own:
            change.__class__, change.alpha = MixUp, own["mixup_alpha"]
    strengths = {key: own[key] for key in KEYS if own.get(key)}
    if strengths:
        place = next(i for i, change in enumerate(row) if isinstance(change, module.Albumentations))
        row.insert(place, BoxSafe(strengths))
    return changes
