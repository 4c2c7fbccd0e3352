"""What a client may send that is wrong, and how it is refused: for tests of the application and for `make hostile`.

Limits that are meant: 300,000 bytes, 1,000,000 pixels, and a network that takes [n, 3, SIDE, SIDE].
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

BYTES, PIXELS = 300_000, 1_000_000


@dataclass(frozen=True)
class Refused:
    """Content, and how it is refused."""

    content: bytes
    status: int
    kind: str


def png(width: int, height: int, data: bytes | None = None, *, deep: bool = False, more: bytes = b"") -> bytes:
    """A PNG file that declares a size and holds next to nothing, or what `data` inflates to.

    Args:
        width: px, as declared.
        height: px, as declared.
        data: compressed.
        deep: 16 bits a channel.
        more: chunks before the data.
    """
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16 if deep else 8, 2, 0, 0, 0))
    body = zlib.compress(b"\0" * 1000) if data is None else data
    return b"\x89PNG\r\n\x1a\n" + head + more + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def chunk(kind: bytes, data: bytes) -> bytes:
    """A part of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def zeros(count: int) -> bytes:
    """So many zeros, compressed, without ever having them in memory."""
    packer = zlib.compressobj(9)
    part = b"\0" * (1 << 20)
    parts = [packer.compress(part[: min(len(part), count - done)]) for done in range(0, count, len(part))]
    return b"".join([*parts, packer.flush()])


def black(side: int, *, deep: bool = False) -> bytes:
    """A whole PNG file, all black: large in memory, small as a file."""
    return png(side, side, zeros(side * (1 + side * (6 if deep else 3))), deep=deep)


def saved(kind: str, side: int = 300) -> bytes:
    """Noise as a file."""
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (side, side, 3), np.uint8)).save(stream, kind)
    return stream.getvalue()


PICTURES: dict[str, Callable[[], Refused]] = {
    "nothing": lambda: Refused(b"", 400, "no_image"),
    "text": lambda: Refused(b"no picture at all", 422, "not_an_image"),
    "12000x9000": lambda: Refused(png(12_000, 9_000, zeros(12_000 * 9_000 // 8)), 413, "too_many_pixels"),
    "declared-2e9-square": lambda: Refused(png(2**31 - 1, 2**31 - 1), 413, "too_many_pixels"),
    "declares-more-than-it-holds": lambda: Refused(png(900, 900), 422, "not_an_image"),
    "broken-jpeg": lambda: Refused(b"\xff\xd8\xff" + b"\0" * 50, 422, "not_an_image"),
    "too-many-bytes": lambda: Refused(b"a" * (BYTES + 1), 413, "too_large"),
    "gif-of-65535": lambda: Refused(_gif(65535), 413, "too_many_pixels"),
    "truncated-png": lambda: Refused(saved("PNG")[:2000], 422, "not_an_image"),
    "truncated-jpeg": lambda: Refused(saved("JPEG")[:2000], 422, "not_an_image"),
    "truncated-webp": lambda: Refused(saved("WEBP")[:2000], 422, "not_an_image"),
}


def _gif(side: int) -> bytes:
    size = struct.pack("<HH", side, side)
    return b"GIF89a" + size + b"\x80\0\0" + bytes(6) + b"," + bytes(4) + size + b"\0\x02\x02\x44\x01\0;"


def described(x: np.ndarray[Any, Any], **others: Any) -> dict[str, Any]:
    """A tensor of the protocol."""
    return {"name": "images", "shape": list(x.shape), "datatype": "FP32", **others}


def tensors(side: int) -> dict[str, Any]:
    """Bodies of `infer` that a network with such a side refuses as `bad_request`."""
    whole = [1, 3, side, side]

    def one(**others: Any) -> dict[str, Any]:
        return {"inputs": [{"name": "images", "shape": whole, "datatype": "FP32", "data": [1.0], **others}]}

    return {
        "no-inputs": {"inputs": []},
        "too-few-numbers": one(),
        "another-name": one(name="image", data=[0.5] * (3 * side * side)),
        "another-side": one(shape=[1, 3, side // 2, side], data=[]),
        "a-billion-images": one(shape=[10**9, 3, side, side], data=[]),
        "negative": one(shape=[-1, 3, side, side], data=[]),
        "shape-of-text": one(shape=["a"], data=[]),
        "bytes": one(datatype="BYTES"),
        "data-of-text": one(data=[["x"]]),
        "huge-numbers": one(data=[10**400]),
        "size-that-lies": {"inputs": [described(np.zeros(whole), parameters={"binary_data_size": 4})]},
        "a-list": [],
        "a-number": 7,
    }
