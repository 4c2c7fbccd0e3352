"""COCO128, whole (80 classes) or as the fixed one-class set `tiny_person`, from a folder on this machine.

The folder is `data.source`, the environment variable `COCO128_DIR`, or a download; it holds `images/train2017` and
`labels/train2017`. `tiny_person` takes the images that hold a person in the order of a hash of their names, so that the
same ones are chosen every time, and a smaller set is a part of a larger one.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from src.common.errors import UserError
from src.common.whole_files import whole_folder
from src.data.fetch import fetch, unpack
from src.data.folders import walk
from src.data.types import RawDataset, RawItem
from src.data.yolo import read_item

URL = "https://github.com/ultralytics/assets/releases/download/v0.0.0/coco128.zip"
MAX_BYTES = 64 << 20  # of the archive, and of what is in it
FOLDERS = ("images/train2017", "labels/train2017")
REMEDY = f"data.source=FOLDER (or COCO128_DIR) with {FOLDERS[0]} and {FOLDERS[1]}"

PERSON = 0
# The 80 classes of COCO in the order of their category ids.
# fmt: off
NAMES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink",
    "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)
# fmt: on


def source_folder(stated: str | None, base: Path) -> Path:
    """The folder with COCO128's images; downloaded under `base` when none is named.

    Raises:
        UserError: none is named and there is no network, or it doesn't hold the images.
    """
    value = stated or os.environ.get("COCO128_DIR")
    if not value:
        return fetch_coco128(base)
    for folder in (Path(value), Path(value) / "coco128"):
        if (folder / "images" / "train2017").is_dir():
            return folder
    raise UserError("data.source does not hold COCO128", value=value, remedy=REMEDY)


def fetch_coco128(base: Path, url: str | None = None) -> Path:
    """The archive as Ultralytics publishes it, unpacked under `base`; fetched once.

    Raises:
        UserError: the network or the archive is not there.
    """
    folder = base / ".downloads" / "coco128"
    if folder.is_dir():
        return folder
    url = url or URL
    print(f"data.source is not set: fetching COCO128 from {url}")
    try:
        with whole_folder(folder) as aside:
            archive = aside / "coco128.zip"
            fetch(url, archive, most=MAX_BYTES)
            if not unpack(archive, aside, MAX_BYTES, wanted=FOLDERS):
                raise UserError(f"the archive holds nothing in {FOLDERS[0]}")
            archive.unlink()
    except UserError as error:
        what = f"data.source is not set, and COCO128 can't be downloaded ({error.what})"
        raise UserError(what, value=url, remedy=REMEDY) from None
    except OSError:
        if not folder.is_dir():  # another process may have been quicker
            raise
    return folder


def read_coco128(folder: Path) -> RawDataset:
    """All images, without splits: a seeded one follows."""
    data = RawDataset(list(NAMES), [], origin=str(folder))
    for image in walk(folder / "images" / "train2017").images:
        data.items.append(read_item(image, "", data.findings))
    return data


def read_tiny_person(folder: Path, sizes: dict[str, int]) -> RawDataset:
    """The one class `person` on a fixed choice of images.

    Args:
        sizes: images per split.

    Raises:
        UserError: fewer images hold a person than the splits need.
    """
    data = read_coco128(folder)
    people = sorted((i for i in data.items if (i.classes == PERSON).any()), key=lambda i: _order(i.image))
    need = sum(sizes.values())
    if len(people) < need:
        raise UserError(
            f"data.n_train + data.n_val + data.n_test is {need}, but {folder} has {len(people)} images with a person",
            value=", ".join(f"{k}={v}" for k, v in sizes.items()),
            remedy="data.n_train=40 data.n_val=10 data.n_test=10",
        )
    # Test and val come first, so that they stay the same when train is made smaller.
    chosen: list[RawItem] = []
    for split in ("test", "val", "train"):
        part, people = people[: sizes[split]], people[sizes[split] :]
        chosen += [_only_person(item, split) for item in part]
    names = {str(item.image) for item in chosen}
    findings = [f for f in data.findings if f.image in names]
    return RawDataset(["person"], chosen, findings, origin=str(folder))


def _order(image: Path) -> str:
    return hashlib.sha256(image.stem.encode("utf-8", "surrogateescape")).hexdigest()


def _only_person(item: RawItem, split: str) -> RawItem:
    keep = item.classes == PERSON
    item.split = split
    item.boxes, item.classes = item.boxes[keep], item.classes[keep]
    item.lines = [line for line, kept in zip(item.lines, keep.tolist(), strict=True) if kept]
    return item
