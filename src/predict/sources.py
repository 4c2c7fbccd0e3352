"""Where frames come from: images, folders, globs, video files; live ones are in `stream`.

Everything that can be wrong with a source is found before the first frame is predicted.
"""

from __future__ import annotations

import glob
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from src.common.encryption import plain
from src.common.errors import UserError
from src.common.image_files import IMAGE_SUFFIXES, OPENCV_SUFFIXES, OTHER_SUFFIXES
from src.common.whole_files import read_regular
from src.predict.engine import Image

log = logging.getLogger(__name__)

IMAGES = IMAGE_SUFFIXES | OPENCV_SUFFIXES
UNDECODED = OTHER_SUFFIXES - OPENCV_SUFFIXES
VIDEOS = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"})
BITS = (8, 10, 12, 14, 16)  # that cameras write into 16
SHOWN = 10  # names in a summary
NEARLY_ALL = 0.98  # share of a video's own count of frames that is not worth a word
LIVE = re.compile(r"(\d+|(rtsp|rtsps|rtmp|http|https|udp|tcp)://.+)")


@dataclass(frozen=True)
class Frame:
    """A picture and where it is from."""

    name: str  # path below the source without suffix, unique in a run; of a video the same for all frames
    image: Image  # [h, w, 3], BGR
    number: int = -1  # of a frame in its video, from 0; -1 for a picture
    time_s: float = 0.0  # in its video


@dataclass
class Notes:
    """What a reader of the results has to know of the source."""

    left_out: dict[str, list[str]] = field(default_factory=dict)  # why -> names
    depths: dict[str, list[str]] = field(default_factory=dict)  # range found -> names

    def as_dict(self) -> dict[str, Any]:
        """Counts and the first names, as plain data; empty where there is nothing to tell."""
        told = {"left_out": self.left_out, "bit_depth": self.depths}
        return {
            key: {why: {"count": len(names), "names": names[:SHOWN]} for why, names in groups.items()}
            for key, groups in told.items()
            if groups
        }


@dataclass(frozen=True)
class Clip:
    """What is known of a video before it is read."""

    frames: int  # 0 = not known
    fps: float
    size: tuple[int, int]  # width, height


def is_live(source: str) -> bool:
    """Whether frames come at their own pace: a webcam's number, or a stream's address."""
    return LIVE.fullmatch(source) is not None


def find_files(source: str, notes: Notes | None = None) -> list[tuple[str, Path]]:
    """The pictures and videos that `source` names, each with its name in the results, sorted.

    Hidden files (`._a.jpg` holds no picture, but what a Mac keeps beside one) and files that are none are left out,
    and noted.

    Args:
        source: a file, a folder or a glob.
        notes: told of what is left out.

    Raises:
        UserError: there is nothing.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return [(path.stem, _known(path))]
    if path.is_dir():
        found, root = [p for p in path.rglob("*") if p.is_file() or _looks_like_one(p)], path
    else:
        found = [Path(p) for p in glob.glob(str(path), recursive=True) if Path(p).is_file()]  # noqa: PTH207 - absolute patterns too
        root = _common(found)
    chosen, left = _sorted_out(found, root)
    if notes is not None:
        notes.left_out = left
    if path.is_dir() and left and not chosen:
        what = "; ".join(f"{len(names)} {why}, e.g. {names[0]}" for why, names in left.items())
        kinds = ", ".join(sorted(IMAGES | VIDEOS))
        raise UserError(f"source holds no pictures or videos ({what})", value=source, remedy=f"files of: {kinds}")
    if not chosen:
        what = "holds no pictures or videos" if found or path.is_dir() else "does not exist"
        raise UserError(
            f"source {what}", value=source, remedy="a file, a folder, a glob, a webcam's number or an address"
        )
    return _named(chosen, root)


def _sorted_out(found: list[Path], root: Path) -> tuple[list[Path], dict[str, list[str]]]:
    """What can be read, and the names of what can't, by the reason."""
    chosen: list[Path] = []
    left: dict[str, list[str]] = {}
    for path in sorted(found):
        name = path.absolute().relative_to(root.absolute())
        if any(part.startswith(".") for part in name.parts):
            why = "hidden"
        elif not path.is_file():
            why = "no regular file"
        elif path.suffix.lower() in IMAGES | VIDEOS:
            chosen.append(path)
            continue
        else:
            why = "pictures that can't be decoded here" if path.suffix.lower() in UNDECODED else "no picture or video"
        left.setdefault(why, []).append(name.as_posix())
    return chosen, left


def _looks_like_one(path: Path) -> bool:
    """Whether the name is that of a picture or a video: a pipe, a folder or a broken link may have one too."""
    return path.suffix.lower() in IMAGES | VIDEOS | UNDECODED


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


def read_picture(path: Path, notes: Notes | None = None) -> Image:
    """A picture as BGR uint8 [h, w, 3], turned upright; encrypted files are opened with the key of the environment.

    Of pictures with 16 bits the highest value tells how many are in use: cameras write 10, 12 or 14 of them, and read
    as 16 the network would see next to nothing.

    Args:
        path: the file.
        notes: told of a picture that does not use its range.

    Raises:
        UserError: it can't be read.
    """
    try:
        content = plain(read_regular(path, 1 << 30), str(path))
    except OSError as error:
        raise UserError(f"a picture can't be read ({error.strerror})", value=path) from None
    return decode_picture(content, path, notes)


def decode_picture(content: bytes, name: Path, notes: Notes | None = None) -> Image:
    """A picture from the bytes of its file, as `read_picture` gives it.

    Raises:
        UserError: it can't be decoded; `name` is named.
    """
    import cv2

    image: Any = (
        cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH) if content else None
    )
    if image is None:
        image = _by_pillow(content)
    if image is None:
        raise UserError("a file is not a picture that can be decoded", value=name, remedy="remove it from the source")
    return _eight_bits(image, name, notes)


def _by_pillow(content: bytes) -> Image | None:
    """A picture that OpenCV does not know, or None."""
    from io import BytesIO

    from PIL import Image as Pillow
    from PIL import ImageOps

    try:
        with Pillow.open(BytesIO(content)) as opened:
            upright = ImageOps.exif_transpose(opened).convert("RGB")
    except Exception:  # decoders fail in many ways on what is none of theirs
        return None
    return np.ascontiguousarray(np.asarray(upright, np.uint8)[..., ::-1])


def _eight_bits(image: Any, path: Path, notes: Notes | None) -> Image:
    """The picture with values 0..255, whatever range its file has."""
    if image.dtype == np.uint8:
        return np.asarray(image, np.uint8)
    if image.dtype != np.uint16:
        raise UserError(
            f"a picture holds {image.dtype} numbers, of which nobody says the range",
            value=path,
            remedy="convert it to 8 or 16 bits",
        )
    highest = int(image.max(initial=0))
    bits = next(bits for bits in BITS if highest < 1 << bits)
    if bits < 16 and notes is not None:
        why = f"{bits} of 16 bits in use, taken for the whole range"
        notes.depths.setdefault(why, []).append(path.name)
    return np.asarray(np.right_shift(image, bits - 8, out=image), np.uint8)  # in place: a large one takes much


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
