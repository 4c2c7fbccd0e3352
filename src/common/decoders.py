"""What decodes pictures for training and evaluation: OpenCV, or TurboJPEG where its library is installed.

`libturbojpeg` is called without a package in between. It takes JPEG files alone; what it can't decode as OpenCV would
(a turned picture, CMYK, a damaged file) goes to OpenCV. The two may differ in the last bits of a pixel, so caches say
which one wrote them. The choice stands in the environment, where every process that this one starts finds it. Neither
services nor timings from file to boxes follow it: they are OpenCV's.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import os
import threading
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from src.common.errors import UserError

VARIABLE = "DETSWEEP_IMAGE_DECODER"
OPENCV, TURBOJPEG, AUTO = "opencv", "turbojpeg", "auto"
DECODERS = (OPENCV, TURBOJPEG, AUTO)
NAMES = ("libturbojpeg.so.0", "libturbojpeg.dylib", "turbojpeg.dll")
RGB, BGR = 0, 1  # of TurboJPEG
PLAIN = 3  # its colour spaces up to grey; CMYK and YCCK need a conversion that OpenCV has of its own
Pixels = NDArray[np.uint8]
_own = threading.local()  # a decompressor is not to be shared between threads


def use_decoder(asked: str) -> None:
    """Decode with this one, in this process and in those that it starts; `auto`: TurboJPEG where it is installed.

    Raises:
        UserError: it is not known, or not installed.
    """
    if asked not in DECODERS:
        raise UserError("data.decoder holds an unknown value", value=asked, remedy=f"one of: {', '.join(DECODERS)}")
    if asked == TURBOJPEG and library() is None:
        remedy = "apt install libturbojpeg0 (brew install jpeg-turbo), data.decoder=auto, or data.decoder=opencv"
        raise UserError("data.decoder=turbojpeg needs libturbojpeg, which is not installed", value=asked, remedy=remedy)
    if asked != OPENCV and library() is not None:
        os.environ[VARIABLE] = TURBOJPEG
    else:
        os.environ.pop(VARIABLE, None)


def decoder_in_use() -> str:
    """Which one decodes here."""
    return TURBOJPEG if os.environ.get(VARIABLE) == TURBOJPEG and library() is not None else OPENCV


@functools.cache
def library() -> Any:
    """TurboJPEG's library; None where there is none."""
    for name in (*NAMES, ctypes.util.find_library("turbojpeg")):
        try:
            found = ctypes.CDLL(name) if name else None
        except OSError:
            continue
        if found is not None and hasattr(found, "tjDecompressHeader3"):
            found.tjInitDecompress.restype = ctypes.c_void_p
            return found
    return None


def turbo(content: Pixels, *, rgb: bool) -> Optional[Pixels]:  # noqa: UP045 - bundles run on Python 3.9
    """A JPEG file, uint8 [bytes], as uint8 [h, w, 3]; None where OpenCV has to decode it."""
    if len(content) < 4 or bytes(content[:3]) != b"\xff\xd8\xff" or _is_turned(content):
        return None
    lib, handle = library(), ctypes.c_void_p(_handle())
    width, height, sampling, colours = (ctypes.c_int() for _ in range(4))
    source = np.ascontiguousarray(content)
    place, size = source.ctypes.data_as(ctypes.c_void_p), ctypes.c_ulong(len(source))
    head = (ctypes.byref(value) for value in (width, height, sampling, colours))
    if lib.tjDecompressHeader3(handle, place, size, *head) or not 0 <= colours.value < PLAIN:
        return None
    pixels = np.empty((height.value, width.value, 3), np.uint8)
    into = pixels.ctypes.data_as(ctypes.c_void_p)
    failed = lib.tjDecompress2(handle, place, size, into, width, 0, height, RGB if rgb else BGR, 0)
    return None if failed else pixels  # also where it only warned: what is left of a damaged file is OpenCV's


def _handle() -> Any:
    if not hasattr(_own, "handle"):
        _own.handle = library().tjInitDecompress()
    return _own.handle


def _is_turned(content: Pixels) -> bool:
    """Whether EXIF says that the picture is to be turned."""
    head = bytes(content[: 1 << 16])
    if b"Exif\0\0" not in head:
        return False
    import io

    from PIL import Image

    try:
        with Image.open(io.BytesIO(bytes(content))) as image:
            return bool(image.getexif().get(0x0112, 1) != 1)
    except Exception:  # OpenCV shall say what is wrong with it
        return True
