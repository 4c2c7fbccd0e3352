"""The log of observations: lines of JSON in files that are turned over, within a quota; pictures only when asked for.

Every process writes files of its own, and begins a new one when it starts, so a line that a kill tore is always the
last of its file and is never continued. A reader leaves out what can't be read and counts it.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from src.common.errors import UserError
from src.common.whole_files import read_regular, write_bytes
from src.monitor.features import Observation
from src.monitor.settings import MonitorConfig

PREFIX, SUFFIX, PICTURES = "observed-", ".jsonl", "pictures"
MB = 1_000_000
SIDE = 640  # px; longer side of a picture that is kept
QUALITY = 85
LOOK_EVERY = 50  # pictures between two looks at their quota


class Log:
    """Writes observations of one process."""

    def __init__(self, folder: Path, settings: MonitorConfig) -> None:
        self.folder = folder
        self._settings = settings
        self._stream: IO[bytes] | None = None
        # Of all processes one may fill a file each while another makes room: together they keep the quota.
        self._file_bytes = min(settings.file_mb, settings.log_mb / (2 * settings.workers)) * MB
        self._pictures = 0
        (folder / PICTURES if settings.pictures else folder).mkdir(parents=True, exist_ok=True)

    def write(self, one: Observation) -> None:
        """Append one line; it survives a kill of this process once this returns.

        Raises:
            OSError: the disk takes no more, or the folder is gone.
        """
        stream = self._stream if self._stream and not self._stream.closed and self._is_there() else self._open()
        stream.write(json.dumps(one.as_json(), separators=(",", ":")).encode() + b"\n")
        stream.flush()
        if stream.tell() >= self._file_bytes:
            self.close()

    def close(self) -> None:
        """Close the file; the next line begins another."""
        if self._stream:
            self._stream.close()

    def keep_picture(self, picture: NDArray[np.uint8], *, bgr: bool = False) -> str:
        """Write a picture [h, w, 3], shrunk, where the settings ask for it; returns its name, or ""."""
        if not self._settings.pictures:
            return ""
        name = f"{time.time_ns()}-{uuid.uuid4().hex[:8]}.jpg"
        write_bytes(self.folder / PICTURES / name, _jpeg(picture, bgr))
        self._pictures += 1
        if self._pictures % LOOK_EVERY == 1:
            _make_room(self.folder / PICTURES, "*.jpg", self._settings.pictures_mb * MB)
        return name

    def _is_there(self) -> bool:
        """Whether the file is still where it was made: somebody may have removed or moved it, to make room."""
        assert self._stream is not None
        try:
            return os.path.samestat(Path(self._stream.name).stat(), os.fstat(self._stream.fileno()))
        except FileNotFoundError:
            return False

    def _open(self) -> IO[bytes]:
        self.close()
        self.folder.mkdir(parents=True, exist_ok=True)
        most = self._settings.log_mb * MB - self._settings.workers * self._file_bytes
        _make_room(self.folder, f"{PREFIX}*{SUFFIX}", most)
        path = self.folder / f"{PREFIX}{time.time_ns()}-{os.getpid()}-{uuid.uuid4().hex[:4]}{SUFFIX}"
        self._stream = open(path, "ab")  # noqa: SIM115 - it stays open between lines
        return self._stream


def _jpeg(picture: NDArray[np.uint8], bgr: bool) -> bytes:
    import cv2

    height, width = picture.shape[:2]
    gain = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * gain)), max(1, round(height * gain)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    own = small if bgr else cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    return bytes(cv2.imencode(".jpg", own, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1])


def _make_room(folder: Path, pattern: str, most: float) -> None:
    """Remove the oldest files until the others have at most `most` bytes; their names tell their age."""
    sizes = [(path, _size(path)) for path in sorted(folder.glob(pattern))]
    total = sum(size for _, size in sizes)
    for path, size in sizes:
        if total <= most:
            break
        path.unlink(missing_ok=True)
        total -= size


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # another process has just removed it
        return 0


def read_log(folder: Path) -> tuple[list[Observation], int]:
    """Every observation, in order of time, and the number of lines that can't be read.

    Raises:
        UserError: there is no such folder, or nothing in it.
    """
    if not folder.is_dir():
        raise UserError("log is no folder", value=folder, remedy="log=DIR, where the service writes its observations")
    found: list[Observation] = []
    broken = 0
    for path in sorted(folder.glob(f"{PREFIX}*{SUFFIX}")):
        for one in _lines(path):
            if one is None:
                broken += 1
            else:
                found.append(one)
    if not found:
        raise UserError("log holds no observations", value=folder, remedy=f"a folder with {PREFIX}*{SUFFIX}")
    return sorted(found, key=lambda o: o.when), broken


def _lines(path: Path) -> Iterator[Observation | None]:
    try:
        content = read_regular(path)
    except FileNotFoundError:
        return  # turned over meanwhile
    except OSError as error:
        raise UserError(f"a file of the log can't be read ({error.strerror})", value=path) from None
    for line in content.splitlines():
        try:
            yield Observation.from_json(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
            yield None
