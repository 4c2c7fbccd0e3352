"""How Ultralytics reads pictures here: encrypted ones, through image loaders and by other decoders too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ultralytics.data import base as base_module
from ultralytics.data import utils as utils_module

from src.common import decoders, encryption, image_loaders

Array = NDArray[Any]

base: Any = base_module
utils: Any = utils_module
_imread, _check_image = base.imread, utils.check_image


def read_image(filename: str | Path, flags: int = 1) -> Array | None:
    """Ultralytics' reader, for encrypted files, image loaders and other decoders too."""
    fast = decoders.decoder_in_use() == decoders.TURBOJPEG
    if not (fast or image_loaders.active() or encryption.is_secret(filename)):
        return _imread(filename, flags)  # type: ignore[no-any-return]
    import cv2

    opened = image_loaders.through_loader(Path(filename).read_bytes(), str(filename))
    content = np.frombuffer(encryption.plain(opened, str(filename)), np.uint8)
    if fast and flags == cv2.IMREAD_COLOR and (image := decoders.turbo(content, rgb=False)) is not None:
        return image
    if not image_loaders.active() and not encryption.is_encrypted(opened):
        return _imread(filename, flags)  # type: ignore[no-any-return]
    found: Any = cv2.imdecode(content, flags)
    return found[..., None] if found is not None and found.ndim == 2 else found  # type: ignore[no-any-return]


def check_image(filename: str) -> tuple[str, tuple[int, int]]:
    """Ultralytics' check of a picture, for what a loader opens too: a message, and height and width."""
    if not image_loaders.active() and not encryption.is_secret(filename):
        return _check_image(filename)  # type: ignore[no-any-return]
    image = read_image(filename)
    assert image is not None, "not an image"
    assert min(image.shape[:2]) > 9, f"image size {image.shape[:2]} <10 pixels"
    return "", (int(image.shape[0]), int(image.shape[1]))


def reader() -> str:
    """What reads pictures: a cache of one is not used by another."""
    return f"{decoders.decoder_in_use()} {image_loaders.loader_identity()}".rstrip()


def install() -> None:
    """Let Ultralytics read and check pictures by these."""
    base.imread = read_image
    utils.check_image = check_image
