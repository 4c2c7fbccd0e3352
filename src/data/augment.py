"""Changed copies of images on disk: `python -m src.data augment`, by the box-safe changes that training has too.

An image's changes follow from the seed and the copy's name alone, so the same command gives the same fingerprint.
Copies are PNG: a second loss of quality would be a change that nobody asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from src.common import box_safe, encryption, image_loaders
from src.common.errors import UserError
from src.data.labels import to_corners
from src.data.layout import Ready
from src.data.writers import Pixels, copy_pixels

MARK = "-augmented"  # in the name of a copy, before its number
MOST = {"noise": 0.5, "blur": 20.0, "contrast": 0.99, "crop": 0.45}


def check_strengths(strengths: Mapping[str, float]) -> None:
    """Refuse strengths that change nothing or make no sense.

    Raises:
        UserError: naming the key.
    """
    for key, value in strengths.items():
        if not 0 <= value <= MOST[key]:
            raise UserError(f"{key} must be 0 to {MOST[key]:g}", value=value, remedy=f"{key}={MOST[key] / 5:g}")
    if not any(strengths.values()):
        raise UserError("augment is told of no change", remedy="noise=0.05, blur=1, contrast=0.3 or crop=0.2")
    if image_loaders.active():
        raise UserError("augment can't write pictures that a loader reads", remedy="augment while training instead")


def augment_with(strengths: Mapping[str, float], seed: int) -> Pixels:
    """Write copies changed, with their boxes; everything else is copied as it is.

    Args:
        strengths: by the keys of `box_safe`.
        seed: of the whole.
    """

    def pixels(image: Ready, target: Path) -> Ready:
        if MARK not in image.name or not image.copy:
            return copy_pixels(image, target)
        import cv2

        content = image.source.read_bytes()
        secret = encryption.is_encrypted(content)
        data = np.frombuffer(encryption.plain(content, str(image.source)), np.uint8)
        shown = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
        name = int.from_bytes(hashlib.sha256(f"{image.split}/{image.name}".encode()).digest()[:8], "big")
        corners = to_corners(image.boxes, image.width, image.height)
        changed, moved = box_safe.changed(shown, corners, strengths, np.random.default_rng([seed, name]))
        written = cv2.imencode(".png", changed)[1].tobytes()
        if secret:
            written = encryption.encrypt(written, encryption.key_from_environment())
        target.write_bytes(written)
        scale = np.array([image.width, image.height])
        low, high = moved[:, :2] / scale, moved[:, 2:] / scale
        boxes = np.clip(np.hstack([(low + high) / 2, high - low]), 0, 1)
        before = (corners[:, 2:] - corners[:, :2]).prod(axis=1)
        areas = image.areas * ((moved[:, 2:] - moved[:, :2]).prod(axis=1) / np.maximum(before, 1e-9))
        return replace(image, sha256=hashlib.sha256(written).hexdigest(), boxes=boxes, areas=areas)

    return pixels
