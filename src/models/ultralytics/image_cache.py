"""What a training reads again and again: images at the size of the network, and labels, cached and checked.

Ultralytics caches full-size pictures beside the originals, and labels as pickles that it trusts by file sizes. Here
cached images are resized already, live in a folder of their own, and are named after everything that decides them, so
that a changed picture or another size is a miss; labels are plain arrays. Encrypted pictures are read with the key of
the environment, and what is cached of them is encrypted too.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ultralytics.data import base as base_module
from ultralytics.data import build as build_module
from ultralytics.data import dataset as dataset_module
from ultralytics.data import utils as utils_module
from ultralytics.models.rtdetr import train as rtdetr_module

from src.common import encryption
from src.common.errors import UserError
from src.common.whole_files import whole_file, write_bytes

FOLDER = ".cache"  # in the prepared dataset
HEADER = 4  # int64: height and width of the original, then as cached
Array = NDArray[Any]
Loaded = tuple[Array, tuple[int, int], tuple[int, int]]

base: Any = base_module
build: Any = build_module
dataset: Any = dataset_module
utils: Any = utils_module
rtdetr: Any = rtdetr_module
_imread, _check_image = base.imread, utils.check_image


def read_image(filename: str | Path, flags: int = 1) -> Array | None:
    """Ultralytics' reader, for encrypted files too."""
    if not encryption.is_secret(filename):
        return _imread(filename, flags)  # type: ignore[no-any-return]
    import cv2

    content = encryption.plain(Path(filename).read_bytes(), str(filename))
    image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    return image[..., None] if image is not None and image.ndim == 2 else image


def check_image(filename: str) -> tuple[str, tuple[int, int]]:
    """Ultralytics' check of a picture, for encrypted files too: a message, and height and width."""
    if not encryption.is_secret(filename):
        return _check_image(filename)  # type: ignore[no-any-return]
    image = read_image(filename)
    assert image is not None, "not an image"
    assert min(image.shape[:2]) > 9, f"image size {image.shape[:2]} <10 pixels"
    return "", (int(image.shape[0]), int(image.shape[1]))


class Cached:
    """Mixed into Ultralytics' datasets: `cache=disk` holds resized pictures, and labels are no pickles."""

    hits = 0
    misses = 0

    def get_cache_hash(self: Any) -> str:
        """Also times of change: a label may change and keep its size."""
        files = [Path(f) for f in (*self.im_files, *self.label_files)]
        times = [f.stat().st_mtime_ns if f.exists() else 0 for f in files]
        return hashlib.sha256(f"{super().get_cache_hash()} {times}".encode()).hexdigest()  # type: ignore[misc]

    def load_image(self: Any, i: int, *args: Any, **kwargs: Any) -> Loaded:
        """A picture at the size of the network, from memory, from the cache, or from its file."""
        if self.cache != "disk" or self.ims[i] is not None:
            return super().load_image(i, *args, **kwargs)  # type: ignore[misc, no-any-return]
        stretched = not (args[0] if args else kwargs.get("rect_mode", rtdetr_rect(self)))
        path = self.cache_file(i, stretched)
        loaded: Loaded | None = _read(path)
        if loaded is None:
            self.misses += 1
            self.cache, kept = None, self.cache  # the plain way: not from a picture of full size beside the original
            try:
                fresh: Loaded = super().load_image(i, *args, **kwargs)  # type: ignore[misc]
            finally:
                self.cache = kept
            _write(path, fresh, secret=encryption.is_secret(self.im_files[i]))
            return fresh
        self.hits += 1
        self._remember(i, loaded)
        return loaded

    def _remember(self: Any, i: int, loaded: Loaded) -> None:
        """Mosaics draw their other pictures from the last ones loaded: as Ultralytics keeps them."""
        if not self.augment:
            return
        self.ims[i], self.im_hw0[i], self.im_hw[i] = loaded
        self.buffer.append(i)
        if 1 < len(self.buffer) >= self.max_buffer_length:
            j = self.buffer.pop(0)
            self.ims[j], self.im_hw0[j], self.im_hw[j] = None, None, None

    def cache_file(self: Any, i: int, stretched: bool) -> Path:
        """Named after the picture's place, and after all that decides the content."""
        image = Path(self.im_files[i])
        stat = image.stat()
        place = hashlib.sha256(str(image.absolute()).encode()).hexdigest()[:24]
        facts = [stat.st_size, stat.st_mtime_ns, self.imgsz, self.channels, stretched]
        state = hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
        return image.parent.parent.parent / FOLDER / f"{self.imgsz}" / f"{place}-{state}.img"

    def cache_images(self: Any) -> None:
        """On disk each picture is cached when it is first read; in memory at once."""
        if self.cache == "ram":
            super().cache_images()  # type: ignore[misc]


def rtdetr_rect(data: Any) -> bool:
    """Whether a dataset letterboxes when it isn't told: RT-DETR's stretches."""
    return not isinstance(data, rtdetr.RTDETRDataset)


def _read(path: Path) -> Loaded | None:
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


def _write(path: Path, loaded: Loaded, *, secret: bool) -> None:
    """Write aside and rename; what was cached of an earlier state of the picture goes."""
    image, (h0, w0), (h, w) = loaded
    content = np.array([h0, w0, h, w], np.int64).tobytes() + np.ascontiguousarray(image).tobytes()
    if secret:
        content = encryption.encrypt(content, encryption.key_from_environment())
    with whole_file(path) as aside:
        aside.write_bytes(content)
        for old in path.parent.glob(f"{path.name.partition('-')[0]}-*.img"):
            old.unlink(missing_ok=True)


def save_labels(prefix: str, path: Path, x: dict[str, Any], version: str) -> None:
    """Ultralytics' label cache without pickles; labels with outlines or key points are not cached."""
    x["version"] = version  # Ultralytics takes it out again
    labels = x["labels"]
    if any(len(label["segments"]) or label["keypoints"] is not None for label in labels):
        return
    plain = {key: x[key] for key in ("hash", "results", "msgs", "version")}
    plain["rows"] = [[label["im_file"], list(map(int, label["shape"])), len(label["cls"])] for label in labels]
    boxes = [np.concatenate([label["cls"], label["bboxes"]], 1) for label in labels]
    stream = io.BytesIO()
    np.savez(stream, boxes=np.concatenate(boxes).astype(np.float32), plain=np.array(json.dumps(plain)))
    with contextlib.suppress(OSError):  # a folder that can't be written to: the labels are read again next time
        write_bytes(path, stream.getvalue())


def load_labels(path: Path) -> dict[str, Any]:
    """What `save_labels` wrote; anything else raises, and Ultralytics then reads the labels again."""
    with np.load(path, allow_pickle=False) as saved:
        plain: dict[str, Any] = json.loads(str(saved["plain"]))
        boxes = saved["boxes"]
    labels, at = [], 0
    for file, shape, count in plain.pop("rows"):
        rows = boxes[at : at + count]
        at += count
        labels.append(
            {
                "im_file": file,
                "shape": tuple(shape),
                "cls": rows[:, :1].copy(),
                "bboxes": rows[:, 1:].copy(),
                "segments": [],
                "keypoints": None,
                "normalized": True,
                "bbox_format": "xywh",
            }
        )
    return {**plain, "labels": labels}


class YoloImages(Cached, dataset.YOLODataset):  # type: ignore[misc]
    """Letterboxed pictures."""


class TransformerImages(Cached, rtdetr.RTDETRDataset):  # type: ignore[misc]
    """Stretched pictures."""


def install() -> None:
    """Put these in the places where Ultralytics' trainers look."""
    base.imread = read_image
    utils.check_image = check_image
    dataset.save_dataset_cache_file = save_labels
    dataset.load_dataset_cache_file = load_labels
    build.YOLODataset = YoloImages
    rtdetr.RTDETRDataset = TransformerImages
