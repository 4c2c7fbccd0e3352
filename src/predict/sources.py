"""Where frames come from: images, folders, globs, video files; live ones are in `stream`.

Everything that can be wrong with a source is found before the first frame is predicted.
"""

from __future__ import annotations

import glob
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from src.errors import UserError
from src.files import read_regular
from src.predict.engine import Image
from src.vault import plain

log = logging.getLogger(__name__)

IMAGES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
VIDEOS = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"})
NEARLY_ALL = 0.98  # share of a video's own count of frames that is not worth a word
LIVE = re.compile(r"(\d+|(rtsp|rtsps|rtmp|http|https|udp|tcp)://.+)")


@dataclass(frozen=True)
class Frame:
    """A picture and where it is from."""

    name: str  # path below the source without suffix, unique in a run; of a video the same for all frames
    image: Image  # [h, w, 3], BGR
    number: int = -1  # of a frame in its video, from 0; -1 for a picture
    time_s: float = 0.0  # in its video


@dataclass(frozen=True)
class Clip:
    """What is known of a video before it is read."""

    frames: int  # 0 = not known
    fps: float
    size: tuple[int, int]  # width, height


def is_live(source: str) -> bool:
    """Whether frames come at their own pace: a webcam's number, or a stream's address."""
    return LIVE.fullmatch(source) is not None


def find_files(source: str) -> list[tuple[str, Path]]:
    """The pictures and videos that `source` names, each with its name in the results, sorted.

    Raises:
        UserError: there is nothing.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return [(path.stem, _known(path))]
    if path.is_dir():
        found, root = [p for p in path.rglob("*") if p.is_file()], path
    else:
        found = [Path(p) for p in glob.glob(str(path), recursive=True) if Path(p).is_file()]  # noqa: PTH207 - absolute patterns too
        root = _common(found)
    chosen = sorted(p for p in found if p.suffix.lower() in IMAGES | VIDEOS)
    if not chosen:
        what = "holds no pictures or videos" if found or path.is_dir() else "does not exist"
        raise UserError(
            f"source {what}", value=source, remedy="a file, a folder, a glob, a webcam's number or an address"
        )
    return _named(chosen, root)


def _known(path: Path) -> Path:
    if path.suffix.lower() not in IMAGES | VIDEOS:
        kinds = ", ".join(sorted(IMAGES | VIDEOS))
        raise UserError("source is neither a picture nor a video", value=path, remedy=f"a file of: {kinds}")
    return path


def _common(paths: list[Path]) -> Path:
    import os

    return Path(os.path.commonpath([p.absolute().parent for p in paths])) if paths else Path()


def _named(paths: list[Path], root: Path) -> list[tuple[str, Path]]:
    """Names by path below `root`; two files that differ in their suffix alone keep it."""
    stems = [p.absolute().relative_to(root.absolute()).with_suffix("").as_posix() for p in paths]
    return [
        (stem if stems.count(stem) == 1 else f"{stem}_{path.suffix[1:]}", path)
        for stem, path in zip(stems, paths, strict=True)
    ]


def is_video(path: Path) -> bool:
    """By its suffix."""
    return path.suffix.lower() in VIDEOS


def read_picture(path: Path) -> Image:
    """A picture as BGR uint8 [h, w, 3], turned upright; encrypted files are opened with the key of the environment.

    Raises:
        UserError: it can't be read.
    """
    import cv2

    try:
        content = np.frombuffer(plain(read_regular(path, 1 << 30), str(path)), np.uint8)
    except OSError as error:
        raise UserError(f"a picture can't be read ({error.strerror})", value=path) from None
    image = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    if image is None:
        raise UserError("a file is not a picture that can be decoded", value=path, remedy="remove it from the source")
    return np.asarray(image, np.uint8)


def open_video(path: Path) -> tuple[Any, Clip]:
    """A decoder and what it tells.

    Raises:
        UserError: the file is no video that can be decoded.
    """
    import cv2

    capture = cv2.VideoCapture(str(path))
    size = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    if not capture.isOpened() or min(size) <= 0:
        raise UserError("a video can't be opened", value=path, remedy="check that it plays; convert it to MP4 (H.264)")
    count = max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
    return capture, Clip(count, float(capture.get(cv2.CAP_PROP_FPS)) or 25.0, size)


def read_video(name: str, path: Path, *, every: int = 1) -> Iterator[Frame]:
    """Every `every`-th frame of a video. One that breaks off late is told in the log: its count may be an estimate.

    Raises:
        UserError: it can't be opened, or breaks off long before its end.
    """
    capture, clip = open_video(path)
    number = 0
    try:
        while capture.grab():
            if number % every == 0:
                ok, image = capture.retrieve()
                if not ok:
                    break
                yield Frame(name, image, number, number / clip.fps)
            number += 1
    finally:
        capture.release()
    if number == 0 or number < clip.frames // 2:
        raise UserError(f"a video can't be read: it breaks off after {number} of {clip.frames} frames", value=path)
    if number < clip.frames * NEARLY_ALL:
        log.warning("%s breaks off after %d of %d frames", path, number, clip.frames)
