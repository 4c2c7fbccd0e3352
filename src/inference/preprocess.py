"""From an image file to a network's input, as the model's `Input` says.

The geometry of letterboxing is that of Ultralytics' validation (`rect=False`).
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from src.common import decoders, encryption, image_loaders
from src.common.errors import UserError
from src.inference.types import Float, LetterboxTransform
from src.records.model_io import Input

PAD_VALUE = 114


def load_image(path: Path | str) -> NDArray[np.uint8]:
    """Read an image file as uint8 [h, w, 3] RGB, turned upright, by the decoder in use.

    Raises:
        UserError: the file is missing or is no image.
    """
    return decode_image(image_bytes(path), str(path), decoder=decoders.decoder_in_use())


def image_bytes(path: Path | str) -> NDArray[np.uint8]:
    """The bytes of an image file, uint8 [bytes], through the image loader in use.

    Raises:
        UserError: the file is missing, or its loader fails.
    """
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise UserError(
            f"an image can't be read ({error.strerror})",
            value=path,
            remedy="check the dataset",
        ) from None
    if not image_loaders.active():
        return content
    return np.frombuffer(image_loaders.through_loader(content.tobytes(), str(path)), np.uint8)


def decode_image(
    content: NDArray[np.uint8], name: str = "image in memory", *, decoder: str = decoders.OPENCV
) -> NDArray[np.uint8]:
    """Decode the bytes of an image file, uint8 [bytes], to uint8 [h, w, 3] RGB.

    An encrypted file is opened with the key of the environment. What another decoder can't take is OpenCV's.

    Raises:
        UserError: the bytes are no image, or are encrypted with another key than the one at hand.
    """
    import cv2

    if encryption.is_encrypted(content[: len(encryption.MAGIC)].tobytes()):
        content = np.frombuffer(encryption.plain(content.tobytes(), name), np.uint8)
    fast = decoders.turbo(content, rgb=True) if decoder == decoders.TURBOJPEG else None
    if fast is not None:
        return fast
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
    """`fit` into a plain input: RGB in 0..1, letterboxed, or with `stretch` both sides made to fit.

    Args:
        image: uint8 [h, w, 3].
        size: height and width of the input, px, or its side.
        stretch: see above.
        bgr: the image's channels are blue, green, red.
    """
    high, wide = (size, size) if isinstance(size, int) else size
    return fit(image, Input(high, wide, "stretch" if stretch else "letterbox"), bgr=bgr)


def fit(image: NDArray[np.uint8], shape: Input, *, bgr: bool = False) -> tuple[Float, LetterboxTransform]:
    """Fit an image into a model's input: float32 [3, height, width], as `shape` says.

    Letterboxed, the image is made as large as fits, and the rest is filled with grey, evenly on both sides. By its
    shorter side it lies at the upper left, and the rest is black.

    Args:
        image: uint8 [h, w, 3].
        shape: what the model takes.
        bgr: the image's channels are blue, green, red.
    """
    fitted, transform = resized(image, shape)
    return _normalised(_to_planes(fitted, bgr != (shape.colour == "bgr")), shape), transform


def resized(image: NDArray[np.uint8], shape: Input) -> tuple[NDArray[np.uint8], LetterboxTransform]:
    """Bring an image uint8 [h, w, 3] to the input's size, uint8 [height, width, 3], its channels as they are."""
    import cv2

    high, wide = shape.size
    height, width = image.shape[:2]
    new_w, new_h = _resized(width, height, shape)
    if (new_w, new_h) != (width, height):
        image = np.asarray(cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_LINEAR), np.uint8)
    even = shape.resize != "shortest_side"
    left, top = (_pad_before(wide - new_w), _pad_before(high - new_h)) if even else (0, 0)
    transform = LetterboxTransform((new_w / width, new_h / height), (left, top), (height, width))
    if (new_w, new_h) != (wide, high):
        right, bottom = wide - new_w - left, high - new_h - top
        grey = (PAD_VALUE if even else 0,) * 3
        padded = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=grey)
        image = np.asarray(padded, np.uint8)
    return image, transform


def from_planes(planes: NDArray[np.uint8], shape: Input) -> Float:
    """What `fit` makes of an image that was resized before, uint8 [3, height, width] RGB: it takes numpy alone."""
    ordered = planes[::-1] if shape.colour == "bgr" else planes
    return _normalised(np.multiply(ordered, np.float32(1 / 255), dtype=np.float32), shape)


def _to_planes(image: NDArray[np.uint8], swap: bool) -> Float:
    """uint8 [h, w, 3] to float32 [3, h, w] in 0..1, the first and the last plane swapped where that is wanted.

    Planes are parted as bytes: a quarter of the memory to move.
    """
    import cv2

    planes = np.empty((3, *image.shape[:2]), np.float32)
    for plane, target in zip(cv2.split(np.ascontiguousarray(image)), planes[::-1] if swap else planes):
        np.multiply(plane, np.float32(1 / 255), out=target, dtype=np.float32)
    return planes


def _normalised(planes: Float, shape: Input) -> Float:
    """(x - mean) / std, in place; most models do without."""
    if any(shape.mean) or any(value != 1 for value in shape.std):
        planes -= np.array(shape.mean, np.float32)[:, None, None]
        planes /= np.array(shape.std, np.float32)[:, None, None]
    return planes


def _resized(width: int, height: int, shape: Input) -> tuple[int, int]:
    """New width and height of an image."""
    high, wide = shape.size
    if shape.resize == "stretch":
        return wide, high
    ratio = min(wide / width, high / height)
    if shape.resize == "letterbox":  # Ultralytics' validation rounds up here, its predictor to the nearest
        return min(math.ceil(width * ratio), wide), min(math.ceil(height * ratio), high)
    shorter = min(high, wide) / min(height, width)
    ratio = min(ratio, shorter)
    return max(int(width * ratio), 1), max(int(height * ratio), 1)


def _pad_before(free: int) -> int:
    """Left or top padding: half of what is free, rounded down at a half."""
    return round(free / 2 - 0.1)
