"""The images that static INT8 takes its ranges from: the calibration part of train, or a folder of one's own.

Their hashes are part of an artifact's identity. Several files of one checkpoint are made from the same images, and a
file is looked for in one process and made in another: what was hashed once is remembered, and handed on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from src.common.encryption import CBC
from src.common.errors import UserError
from src.common.hashes import sha256_file
from src.common.image_files import IMAGE_SUFFIXES
from src.config.schema import ExportConfig

SUFFIXES = IMAGE_SUFFIXES | {CBC}
MOST = 128  # images; ranges settle long before
MOST_BY_FORMAT = {"litert": 48}  # its quantiser runs them through its reference kernels

State = tuple[str, int, int]  # path, bytes, time of change
_hashes: dict[State, str] = {}


def images_of(cfg: ExportConfig, own: Sequence[str]) -> list[str]:
    """The images to calibrate on: those of `export.calibration.folder`, else the dataset's `own`.

    Raises:
        UserError: the folder holds no images.
    """
    if cfg.calibration.folder is None:
        return list(own)
    folder = Path(cfg.calibration.folder)
    found = sorted(str(path) for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise UserError(
            "export.calibration.folder holds no images",
            value=folder,
            remedy=f"a folder with {', '.join(sorted(SUFFIXES))} files, or null for the calibration part of train",
        )
    return found


def chosen(images: Sequence[str], fmt: str, cfg: ExportConfig) -> tuple[str, ...]:
    """Those that a file of this format is calibrated on, evenly chosen when there are many."""
    most = cfg.calibration.images or MOST_BY_FORMAT.get(fmt, MOST)
    step = max(len(images) / most, 1.0)
    return tuple(images[int(i * step)] for i in range(min(len(images), most)))


def hashes_of(images: Iterable[str]) -> list[str]:
    """Content hash of each image; one that has not changed since it was hashed is not read again.

    Raises:
        UserError: an image can't be read.
    """
    return [_hash(image) for image in images]


def _hash(image: str) -> str:
    try:
        state = _state(image)
        if state not in _hashes:
            _hashes[state] = sha256_file(Path(image))
        return _hashes[state]
    except OSError as error:
        raise UserError(
            f"an image to calibrate on can't be read ({error.strerror})", value=image, remedy="check the dataset"
        ) from None


def _state(image: str) -> State:
    found = Path(image).stat()
    return str(Path(image).absolute()), found.st_size, found.st_mtime_ns


def remembered(images: Iterable[str]) -> list[tuple[str, int, int, str]]:
    """What is known of these images, as plain data for another process."""
    states = {_state(image) for image in images if Path(image).is_file()}
    return [(*state, _hashes[state]) for state in sorted(states & _hashes.keys())]


def remember(known: Iterable[Sequence[Any]]) -> None:
    """Take over what another process has hashed; an image that has changed since is hashed again all the same."""
    for path, size, changed, digest in known:
        _hashes[(str(path), int(size), int(changed))] = str(digest)
