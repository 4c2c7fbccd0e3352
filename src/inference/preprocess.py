"""From an image file to a network's input. The geometry is that of Ultralytics' validation (`rect=False`)."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from src.common import encryption
from src.common.errors import UserError
from src.inference.types import Float, LetterboxTransform

PAD_VALUE = 114


def load_image(path: Path | str) -> NDArray[np.uint8]:
    """Read an image file as uint8 [h, w, 3] RGB, turned upright.

    Raises:
        UserError: the file is missing or is no image.
    """
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise UserError(
            f"an image can't be read ({error.strerror})",
            value=path,
            remedy="check the dataset",
        ) from None
    return decode_image(content, str(path))


def decode_image(content: NDArray[np.uint8], name: str = "image in memory") -> NDArray[np.uint8]:
    """Decode the bytes of an image file, uint8 [bytes], to uint8 [h, w, 3] RGB.

    An encrypted file is opened with the key of the environment.

    Raises:
        UserError: the bytes are no image, or are encrypted with another key than the one at hand.
    """
    import cv2

    if encryption.is_encrypted(content[: len(encryption.MAGIC)].tobytes()):
        content = np.frombuffer(encryption.plain(content.tobytes(), name), np.uint8)
    image = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    if image is None:
        raise UserError(
            "a file is not an image that can be decoded",
            value=name,
            remedy="check the dataset",
        )
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def letterbox(
    image: NDArray[np.uint8], size: int | tuple[int, int], *, stretch: bool = False, bgr: bool = False
) -> tuple[Float, LetterboxTransform]:
    """Fit an image uint8 [h, w, 3] into an input float32 [3, height, width] in 0..1, RGB; `bgr` if the image is.

    The image is made as large as fits; the rest is filled with grey, evenly on both sides. With `stretch` both sides
    become those of the input, as RT-DETR is trained.

    Args:
        image: uint8 [h, w, 3].
        size: height and width of the input, px, or its side.
        stretch: see above.
        bgr: the image's channels are blue, green, red.
    """
    import cv2

    high, wide = (size, size) if isinstance(size, int) else size
    height, width = image.shape[:2]
    new_w, new_h = (wide, high) if stretch else _resized(width, height, wide, high)
    if (new_w, new_h) != (width, height):
        image = np.asarray(cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_LINEAR), np.uint8)
    left, top = _pad_before(wide - new_w), _pad_before(high - new_h)
    transform = LetterboxTransform((new_w / width, new_h / height), (left, top), (height, width))
    if (new_w, new_h) != (wide, high):
        right, bottom = wide - new_w - left, high - new_h - top
        grey = (PAD_VALUE,) * 3
        padded = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=grey)
        image = np.asarray(padded, np.uint8)
    return _to_planes(image, bgr), transform


def _to_planes(image: NDArray[np.uint8], bgr: bool) -> Float:
    """uint8 [h, w, 3] to float32 [3, h, w] in 0..1. Planes are parted as bytes: a quarter of the memory to move."""
    import cv2

    planes = np.empty((3, *image.shape[:2]), np.float32)
    for plane, target in zip(cv2.split(np.ascontiguousarray(image)), planes[::-1] if bgr else planes, strict=True):
        np.multiply(plane, np.float32(1 / 255), out=target, dtype=np.float32)
    return planes


def _resized(width: int, height: int, wide: int, high: int) -> tuple[int, int]:
    """New width and height. Ultralytics' validation rounds up here, its predictor to the nearest."""
    ratio = min(wide / width, high / height)
    return min(math.ceil(width * ratio), wide), min(math.ceil(height * ratio), high)


def _pad_before(free: int) -> int:
    """Left or top padding: half of what is free, rounded down at a half."""
    return round(free / 2 - 0.1)
