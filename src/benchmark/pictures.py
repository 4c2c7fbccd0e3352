"""Pictures at the size that a network takes, in one file: resized on one machine, fed bit for bit the same on another.

Resizing takes OpenCV, which a device may lack, and whose versions differ in the last bit; what lies here takes numpy
alone. A picture is kept as its colours' differences, which is smaller than a PNG of it: green as it is, red and blue
less green, then every number less its left neighbour, all modulo 256.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.common.errors import UserError
from src.common.whole_files import whole_file
from src.inference import LetterboxTransform, Prepared, load_image
from src.inference.preprocess import from_planes, resized
from src.records.model_io import Input

Planes = NDArray[np.uint8]  # [3, height, width]


def key_of(shape: Input) -> str:
    """What inputs have in common that take the same file: size, and how images are fitted in."""
    return f"{shape.height}x{shape.width}-{shape.resize}"


def write_pictures(path: Path, images: Sequence[str], shape: Input) -> None:
    """Resize image files and save them in this order.

    Raises:
        UserError: one is missing or no image.
    """
    arrays: dict[str, Any] = {}
    places = []
    for i, (image, transform) in enumerate(resized(load_image(file), shape) for file in images):
        arrays[f"{i:06d}"] = differences(image.transpose(2, 0, 1))
        places.append([*transform.gain, *transform.pad, *transform.shape])
    with whole_file(path) as aside, open(aside, "wb") as stream:
        np.savez_compressed(stream, places=np.array(places, np.float64).reshape(-1, 6), **arrays)


def read_pictures(path: Path | str, shape: Input, start: int = 0, stop: int | None = None) -> Iterator[Prepared]:
    """The pictures of a file from `start` to `stop`, as a network of this input takes them.

    Raises:
        UserError: the file is missing, damaged or of another size.
    """
    try:
        with np.load(path, allow_pickle=False) as saved:
            places = saved["places"]
            for i in range(start, len(places) if stop is None else min(stop, len(places))):
                planes = picture(saved[f"{i:06d}"])
                if planes.shape != (3, *shape.size):
                    raise UserError("the pictures are of another size than the model takes", value=path)
                gain_x, gain_y, left, top, height, width = places[i].tolist()
                transform = LetterboxTransform((gain_x, gain_y), (left, top), (int(height), int(width)))
                yield Prepared(from_planes(planes, shape), transform)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"the pictures can't be read ({error})", value=path, remedy="make the bundle again") from None


def differences(planes: Planes) -> Planes:
    """A picture as it is kept."""
    kept = planes.copy()
    kept[0] -= planes[1]
    kept[2] -= planes[1]
    kept[:, :, 1:] -= kept[:, :, :-1].copy()
    return kept


def picture(kept: Planes) -> Planes:
    """The picture of its differences."""
    planes = np.cumsum(kept, axis=2, dtype=np.uint8)
    planes[0] += planes[1]
    planes[2] += planes[1]
    return planes
