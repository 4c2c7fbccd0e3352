"""A cached picture in a file of its own, encrypted where the picture is: for caches that can't be shared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.common import encryption
from src.common.errors import UserError
from src.common.whole_files import whole_file

HEADER = 4  # int64: height and width of the original, then as cached
Loaded = tuple[NDArray[Any], tuple[int, int], tuple[int, int]]  # pixels, height and width before and now


def read_picture(path: Path) -> Loaded | None:
    """What is cached; None when it is not there, torn, or encrypted with another key.

    Raises:
        UserError: it is encrypted, and the environment holds no usable key.
    """
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if encryption.is_encrypted(content):
        key = encryption.key_from_environment()
        try:
            content = encryption.decrypt(content, key)
        except UserError:
            return None
    head = np.frombuffer(content[: 8 * HEADER], np.int64)
    pixels = np.frombuffer(content, np.uint8, offset=8 * HEADER) if len(head) == HEADER else np.empty(0, np.uint8)
    if len(head) != HEADER or head[2] * head[3] <= 0 or len(pixels) % (head[2] * head[3]) or not len(pixels):
        return None
    h0, w0, h, w = (int(v) for v in head)
    return pixels.reshape(h, w, -1).copy(), (h0, w0), (h, w)  # a copy: augmentation may write into it


def write_picture(path: Path, loaded: Loaded, *, secret: bool) -> None:
    """Write aside and rename; what was cached of an earlier state of the picture goes."""
    image, (h0, w0), (h, w) = loaded
    content = np.array([h0, w0, h, w], np.int64).tobytes() + np.ascontiguousarray(image).tobytes()
    if secret:
        content = encryption.encrypt(content, encryption.key_from_environment())
    with whole_file(path) as aside:
        aside.write_bytes(content)
        for old in path.parent.glob(f"{path.name.partition('-')[0]}-*.img"):
            old.unlink(missing_ok=True)
