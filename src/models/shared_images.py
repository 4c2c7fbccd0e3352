"""The pictures of a split as arrays in one file, which every process maps: in memory once, however many read it.

Two files: `NAME.pixels`, the pictures one after the other, and `NAME.json`, which says where each begins, of which
state of its file it was made, and under what conditions. The index is written last, so that pictures without one are
no cache. numpy's memory map does the work: a database such as lmdb would hand out copies, want its size in advance and
be one more dependency, and nothing here is ever changed in place.

A cache is never wrong: what does not fit the files as they are is told with the reason, and made again. Pictures that
did not change are copied from what was there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.common.whole_files import locked, whole_file, write_text

log = logging.getLogger(__name__)

VERSION = 1
PIXELS, INDEX = ".pixels", ".json"
Pixels = NDArray[np.uint8]
Picture = tuple[Pixels, tuple[int, int]]  # [h, w, channels] uint8, and height and width of the original


@dataclass(frozen=True)
class Conditions:
    """What decides how a picture is cached, apart from the picture."""

    imgsz: int  # px; 0 = pictures as they are
    stretched: bool
    channels: int
    reader: str = "opencv"  # what decodes: another one may give other pixels

    def name(self, files: Sequence[str]) -> str:
        """Name of the cache of a list of files: of their places, so that a changed picture finds its old self."""
        places = hashlib.sha256("\n".join(map(os.path.abspath, files)).encode()).hexdigest()[:16]
        how = hashlib.sha256(repr(asdict(self)).encode()).hexdigest()[:8]
        return f"{places}-{how}"


class SharedImages:
    """An open cache. Made in one process and handed to others, it maps the same file there.

    Args:
        path: of the pixels.
        shapes: [n, 3] height, width and channels of each picture.
        originals: [n, 2] height and width of each original.
    """

    def __init__(self, path: Path, shapes: NDArray[np.int64], originals: NDArray[np.int64]) -> None:
        self.path, self.shapes, self.originals = path, shapes, originals
        self.ends = np.cumsum(shapes.prod(axis=1))
        self._map: Any = self._open()

    def _open(self) -> Any:
        return np.memmap(self.path, np.uint8, "r", shape=(int(self.ends[-1]),))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_map": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._map = self._open()

    def __len__(self) -> int:
        return len(self.shapes)

    @property
    def nbytes(self) -> int:
        """Size of all pictures."""
        return int(self.ends[-1])

    def view(self, i: int) -> Pixels:
        """A picture as it lies in the file: it can't be written to."""
        end, shape = int(self.ends[i]), self.shapes[i]
        found: Pixels = self._map[end - int(shape.prod()) : end].reshape(shape)
        return found

    def __getitem__(self, i: int) -> Pixels:
        """A picture of its own: augmentation may write into it."""
        return np.array(self.view(i))

    def read(self) -> None:
        """Bring the whole file into memory now, where all processes find it."""
        step = 1 << 24
        for begin in range(0, self.nbytes, step):
            self._map[begin : begin + step : 4096].sum()


def open_shared(
    folder: Path,
    files: Sequence[str],
    conditions: Conditions,
    load: Callable[[int], Picture],
    *,
    workers: int = 1,
    refresh: bool = False,
) -> tuple[SharedImages, int]:
    """The cache of a list of files, made or mended where it must be.

    Args:
        folder: where caches lie.
        files: the pictures, in order.
        conditions: how they are cached.
        load: reads a picture by its place in `files`, sized as the conditions say.
        workers: threads that read.
        refresh: make it anew, whatever is there.

    Returns:
        The cache, and how many pictures had to be read.

    Raises:
        OSError: the folder can't be written to, or the disk is full.
    """
    path = folder / conditions.name(files)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(path.with_suffix(".lock")):  # trials that begin together make it once
        return _open_or_make(path, files, conditions, load, workers, refresh)


def _open_or_make(
    path: Path,
    files: Sequence[str],
    conditions: Conditions,
    load: Callable[[int], Picture],
    workers: int,
    refresh: bool,
) -> tuple[SharedImages, int]:
    states = [state_of(file) for file in files]
    index = {} if refresh else _index(path, conditions)
    reason = "it is asked for anew" if refresh else _reason(index, path, files, states)
    if not reason:
        return _opened(path, index), 0
    log.info("the cache %s is made: %s", path.with_suffix(PIXELS), reason)
    kept = _kept(path, index, states)
    entries = _write(path, len(files), load, kept, workers)
    write_text(
        path.with_suffix(INDEX),
        json.dumps({"version": VERSION, **asdict(conditions), "files": list(files), "states": states, **entries}),
    )
    return _opened(path, entries), len(files) - len(kept)


def state_of(file: str) -> list[int]:
    """Size, time of change and inode of a file: another state is another picture."""
    stat = Path(file).stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino]


def _index(path: Path, conditions: Conditions) -> dict[str, Any]:
    """What the index says; empty where there is none that can be used."""
    try:
        found: dict[str, Any] = json.loads(path.with_suffix(INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    same = found.get("version") == VERSION and all(found.get(k) == v for k, v in asdict(conditions).items())
    return found if same else {"version": found.get("version")}


def _reason(index: dict[str, Any], path: Path, files: Sequence[str], states: list[list[int]]) -> str:
    """Why the cache can't be used as it is; empty where it can."""
    if not index:
        return "there is none yet"
    if "states" not in index:
        return f"it is of version {index['version']}, and this is version {VERSION}"
    if index["files"] != list(files):
        return "the dataset has other pictures"
    size = int(np.prod(np.array(index["shapes"], np.int64), axis=1).sum())
    have = path.with_suffix(PIXELS).stat().st_size if path.with_suffix(PIXELS).is_file() else 0
    if have != size:
        return f"it holds {have} bytes instead of {size}"
    changed = [Path(f).name for f, was, now in zip(files, index["states"], states, strict=True) if was != now]
    if changed:
        return f"{len(changed)} of {len(files)} pictures have changed, {changed[0]} among them"
    return ""


def _opened(path: Path, index: dict[str, Any]) -> SharedImages:
    shapes, originals = (np.array(index[key], np.int64) for key in ("shapes", "originals"))
    return SharedImages(path.with_suffix(PIXELS), shapes, originals)


def _kept(path: Path, index: dict[str, Any], states: list[list[int]]) -> dict[int, Picture]:
    """The pictures that are as they were."""
    if len(index.get("states", [])) != len(states):
        return {}
    try:
        old = _opened(path, index)
    except (OSError, ValueError):  # gone, or cut short
        return {}
    same = (i for i, (was, now) in enumerate(zip(index["states"], states, strict=True)) if was == now)
    return {i: (old.view(i), (int(old.originals[i][0]), int(old.originals[i][1]))) for i in same}


def _write(
    path: Path, count: int, load: Callable[[int], Picture], kept: dict[int, Picture], workers: int
) -> dict[str, Any]:
    """Write the pixels aside and rename; returns the entries of the index."""
    shapes, originals = [], []
    path.with_suffix(INDEX).unlink(missing_ok=True)
    with whole_file(path.with_suffix(PIXELS)) as aside, open(aside, "wb") as stream:
        for image, original in _loaded(count, load, kept, workers):
            stream.write(np.ascontiguousarray(image).tobytes())
            shapes.append([int(v) for v in image.shape])
            originals.append([int(v) for v in original])
    return {"shapes": shapes, "originals": originals}


def _loaded(count: int, load: Callable[[int], Picture], kept: dict[int, Picture], workers: int) -> Iterator[Picture]:
    """Pictures in order, a few read ahead: never all of them at once."""

    def one(i: int) -> Picture:
        return kept[i] if i in kept else load(i)

    ahead = max(workers, 1) * 4
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        for begin in range(0, count, ahead):
            yield from pool.map(one, range(begin, min(begin + ahead, count)))
