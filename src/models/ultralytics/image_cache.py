"""What a training reads again and again: images at the size of the network, cached and checked.

Ultralytics caches full-size pictures beside the originals. Here they are resized already and lie in one file that every
process maps (`shared_images`); labels are cached by `label_cache`. Encrypted pictures are read with the key of the
environment: `ram` keeps them in memory alone, and what `disk` caches of them is encrypted too, a file for each picture.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import math
import random
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from ultralytics.data import build as build_module
from ultralytics.data import dataset as dataset_module
from ultralytics.models.rtdetr import train as rtdetr_module

from src.common import encryption, image_loaders
from src.common.whole_files import free_bytes
from src.machine.environment import cores
from src.models.shared_images import PIXELS, Conditions, Picture, SharedImages, open_shared
from src.models.ultralytics import image_readers, label_cache
from src.models.ultralytics.augmentation import extended, without_albumentations
from src.models.ultralytics.handed_over import handed_over
from src.models.ultralytics.image_readers import read_image, reader
from src.models.ultralytics.order import Place, drawn_for
from src.models.ultralytics.picture_files import Loaded, read_picture, write_picture

log = logging.getLogger(__name__)

FOLDER = ".cache"  # in the prepared dataset
PROBED = 30  # pictures by which Ultralytics judges the size of all
GB = 1 << 30
Array = NDArray[Any]

build: Any = build_module
dataset: Any = dataset_module
rtdetr: Any = rtdetr_module


class Cached:
    """Mixed into Ultralytics' datasets: pictures come from one file that is shared, and labels are no pickles."""

    hits = 0
    misses = 0
    shared: SharedImages | None = None

    def get_cache_hash(self: Any) -> str:
        """Also times of change: a label may change and keep its size."""
        files = [Path(f) for f in (*self.im_files, *self.label_files)]
        times = [f.stat().st_mtime_ns if f.exists() else 0 for f in files]
        seen = f"{super().get_cache_hash()} {times} {image_loaders.loader_identity()}".rstrip()  # type: ignore[misc]
        return hashlib.sha256(seen.encode()).hexdigest()  # type: ignore[misc]

    def __getitem__(self: Any, index: int) -> Any:
        """An image as the network gets it; where its place tells the epoch, its choices follow from that."""
        if not isinstance(index, Place):
            return super().__getitem__(index)  # type: ignore[misc]
        with drawn_for(handed_over().seed, index):
            return super().__getitem__(index)  # type: ignore[misc]

    def build_transforms(self: Any, hyp: Any) -> Any:
        """What is done to images: Ultralytics' changes and those of the recipe."""
        changes = super().build_transforms(hyp)  # type: ignore[misc]
        if not self.augment:
            return changes
        without_albumentations(changes)
        changes = extended(changes, dict(handed_over().augment))
        if handed_over().seed >= 0:  # what was read last depends on the process
            for change in changes.transforms[0].transforms:
                change.buffer_enabled = False
        return changes

    def load_image(self: Any, i: int, *args: Any, **kwargs: Any) -> Loaded:
        """A picture at the size of the network, from the shared cache, from memory, or from its file."""
        stretched = not (args[0] if args else kwargs.get("rect_mode", rtdetr_rect(self)))
        if self.shared is not None and stretched == self.stretched:
            return self._from_shared(i)  # type: ignore[no-any-return]
        if self.cache != "disk" or self.ims[i] is not None or not image_loaders.may_be_shown():
            return super().load_image(i, *args, **kwargs)  # type: ignore[misc, no-any-return]
        return self._from_own_file(i, stretched, *args, **kwargs)  # type: ignore[no-any-return]

    def _from_shared(self: Any, i: int) -> Loaded:
        self.hits += 1
        image, (h0, w0) = self.shared[i], self.shared.originals[i].tolist()
        if not handed_over().loading.resize:
            image = fitted(image, self.imgsz, stretched=self.stretched)
        if self.augment and self.cache == "disk" and i not in self.buffer:  # mosaics draw from the last ones loaded
            self.buffer.append(i)
            if 1 < len(self.buffer) >= self.max_buffer_length:
                self.buffer.pop(0)
        return image, (h0, w0), (int(image.shape[0]), int(image.shape[1]))

    def _from_own_file(self: Any, i: int, stretched: bool, *args: Any, **kwargs: Any) -> Loaded:
        """A picture from a cache of its own: an encrypted one, or where the shared file can't be had."""
        path = self.cache_file(i, stretched)
        loaded: Loaded | None = read_picture(path)
        if loaded is None:
            self.misses += 1
            self.cache, kept = None, self.cache  # the plain way: not from a picture of full size beside the original
            try:
                fresh: Loaded = super().load_image(i, *args, **kwargs)  # type: ignore[misc]
            finally:
                self.cache = kept
            write_picture(path, fresh, secret=encryption.is_secret(self.im_files[i]))
            return fresh
        self.hits += 1
        self._remember(i, loaded)
        return loaded

    @property
    def stretched(self: Any) -> bool:
        """Whether pictures are stretched to a square instead of fitted into one."""
        return not rtdetr_rect(self)

    def check_cache_ram(self: Any, safety_margin: float = 1.0) -> bool:
        """Share the pictures where that can be; the random numbers are drawn that Ultralytics draws here."""
        if not self._share():
            return bool(super().check_cache_ram(safety_margin))  # type: ignore[misc]
        for _ in range(min(self.ni, PROBED)):
            random.randrange(self.ni)
        return True

    def check_cache_disk(self: Any, safety_margin: float = 0.1) -> bool:
        """The same for `disk`."""
        if not self._share():
            return bool(super().check_cache_disk(safety_margin))  # type: ignore[misc]
        for _ in range(min(self.ni, PROBED)):
            random.choice(self.im_files)
        return True

    def _share(self: Any) -> bool:
        """Open the shared cache, made where it must be; False where it can't be had, which is told."""
        if any(map(image_loaders.is_private, self.im_files)):
            return False
        folder, asked = cache_folder(self.im_files[0]), handed_over()
        imgsz = self.imgsz if asked.loading.resize else 0
        conditions = Conditions(imgsz, self.stretched, self.channels, reader())
        limit = asked.loading.limit_gb
        there = (folder / f"{conditions.name(self.im_files)}{PIXELS}").is_file()
        need = 0 if there and not limit else self._bytes(asked.loading.resize)  # reads some pictures without `resize`
        if limit and need > limit * GB:
            log.warning("images are not cached: they take %.2f GB, train.cache_limit_gb is %g", need / GB, limit)
            self.cache = None
            return False
        if not there and (reason := no_room(need, folder)):
            log.warning("images are not shared between processes: %s", reason)
            return False
        try:
            self.shared, self.misses = open_shared(
                folder,
                self.im_files,
                conditions,
                functools.partial(self._fresh, resize=asked.loading.resize),
                workers=asked.loading.threads or cores(),
                refresh=asked.loading.refresh,
            )
        except OSError as error:
            log.warning("images are not shared between processes: %s can't be used (%s)", folder, error.strerror)
            return False
        self.ims = self.shared
        if self.cache == "ram":
            self._into_memory()
        return True

    def _into_memory(self: Any) -> None:
        import psutil

        free = psutil.virtual_memory().available
        if self.shared.nbytes > free:
            gb = self.shared.nbytes / GB, free / GB
            log.warning("cache=ram works like disk: the images take %.1f GB, and %.1f GB of memory are free", *gb)
            return
        self.shared.read()

    def _bytes(self: Any, resize: bool) -> int:
        """What the pictures take at most; pictures as they are: by the first ones."""
        side = self.imgsz
        if resize:
            return int(self.ni * side * side * self.channels)
        some = [self._fresh(i, resize=False)[0].nbytes for i in range(min(self.ni, PROBED))]
        return int(sum(some) * self.ni // len(some))

    def _fresh(self: Any, i: int, *, resize: bool) -> Picture:
        """A picture read from its file, for the cache."""
        image = read_image(self.im_files[i], flags=self.cv2_flag)
        if image is None:
            raise FileNotFoundError(0, "image not found", self.im_files[i])
        original = int(image.shape[0]), int(image.shape[1])
        return (fitted(image, self.imgsz, stretched=self.stretched) if resize else image), original

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
        facts += [] if reader() == Conditions.reader else [reader()]
        state = hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
        return image.parent.parent.parent / FOLDER / f"{self.imgsz}" / f"{place}-{state}.img"

    def cache_images(self: Any) -> None:
        """Encrypted pictures: on disk each is cached when it is first read, in memory at once."""
        if self.cache == "ram" and self.shared is None:
            super().cache_images()  # type: ignore[misc]


def fitted(image: Array, side: int, *, stretched: bool) -> Array:
    """A picture [h, w, channels] at the network's size: its longer side that long, or both."""
    import cv2

    height, width = image.shape[:2]
    ratio = side / max(height, width)
    size = (side, side)
    if not stretched:
        size = min(math.ceil(width * ratio), side), min(math.ceil(height * ratio), side)
    if (width, height) != size and (stretched or ratio != 1):
        image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    return image[..., None] if image.ndim == 2 else image


def cache_folder(image: str) -> Path:
    """Where caches of a prepared dataset lie, one of whose pictures is given."""
    asked = handed_over().loading.folder
    return Path(asked) if asked else Path(image).parent.parent.parent / FOLDER


def no_room(need: int, folder: Path) -> str:
    """Why a file of so many bytes can't be written there; empty where it can."""
    free = free_bytes(folder)
    if need <= free:
        return ""
    return f"they take {need / GB:.1f} GB, and {free / GB:.1f} GB are free in {folder} (train.cache_folder=DIR)"


def rtdetr_rect(data: Any) -> bool:
    """Whether a dataset letterboxes when it isn't told: RT-DETR's stretches."""
    return not isinstance(data, rtdetr.RTDETRDataset)


class YoloImages(Cached, dataset.YOLODataset):  # type: ignore[misc]
    """Letterboxed pictures."""


class TransformerImages(Cached, rtdetr.RTDETRDataset):  # type: ignore[misc]
    """Stretched pictures."""


def install() -> None:
    """Put these in the places where Ultralytics' trainers look."""
    image_readers.install()
    dataset.save_dataset_cache_file = label_cache.save_labels
    dataset.load_dataset_cache_file = label_cache.load_labels
    build.YOLODataset = YoloImages
    rtdetr.RTDETRDataset = TransformerImages
