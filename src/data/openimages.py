"""Download images of chosen classes from Open Images, with their boxes, as a COCO folder.

Annotations are read as they arrive and thrown away but for the chosen classes: the file of the training split has two
gigabytes. No key is needed. Boxes of groups (`IsGroupOf`) become regions to ignore.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from src.common.errors import UserError
from src.common.whole_files import whole_folder, write_text
from src.data.coco import coco_json
from src.data.fetch import fetch, lines

ANNOTATIONS = "https://storage.googleapis.com/openimages"
IMAGES = "https://s3.amazonaws.com/open-images-dataset"
CLASSES = "v7/oidv7-class-descriptions-boxable.csv"
BOXES = {
    "train": "v6/oidv6-train-annotations-bbox.csv",
    "validation": "v5/validation-annotations-bbox.csv",
    "test": "v5/test-annotations-bbox.csv",
}
SPLIT = {"train": "train", "validation": "val", "test": "test"}  # Open Images' word -> ours
MOST_BYTES = 64 << 20  # of one picture
Row = tuple[int, list[float], bool]  # class, shares x1 y1 x2 y2, group


def download_openimages(classes: Sequence[str], split: str, limit: int, out: Path) -> int:
    """Download at most `limit` images that hold one of the classes into a new folder; returns their number.

    Raises:
        UserError: there is no such class or split, nothing holds the classes, or a file can't be had.
    """
    if split not in BOXES:
        raise UserError("split is none of Open Images", value=split, remedy=f"one of: {', '.join(BOXES)}")
    if not classes:
        raise UserError("classes is not set", remedy="classes=[Dog,Cat]: names as Open Images has them")
    found = _boxes(_ids(classes), split, limit)
    if not found:
        raise UserError("no image of this split holds the classes", value=", ".join(classes), remedy="another split")
    with whole_folder(out) as aside:
        folder = aside / "images" / SPLIT[split]
        folder.mkdir(parents=True)
        rows = [_fetched(image, own, split, folder) for image, own in sorted(found.items())]
        content = coco_json(rows, list(classes), [])
        write_text(aside / "annotations" / f"instances_{SPLIT[split]}.json", json.dumps(content) + "\n")
    return len(rows)


def _ids(classes: Sequence[str]) -> dict[str, int]:
    """Our class id by Open Images' own.

    Raises:
        UserError: a name is not among its boxable classes.
    """
    known = {row[1]: row[0] for row in csv.reader(lines(f"{ANNOTATIONS}/{CLASSES}")) if len(row) > 1}
    for name in classes:
        if name not in known:
            near = [k for k in known if name.lower() in k.lower() or k.lower() in name.lower()][:8]
            remedy = f"such as: {', '.join(near)}" if near else "storage.googleapis.com/openimages lists its names"
            raise UserError("Open Images has no boxes of this class", value=name, remedy=remedy)
    return {known[name]: i for i, name in enumerate(classes)}


def _boxes(ids: dict[str, int], split: str, limit: int) -> dict[str, list[Row]]:
    """The boxes of the first images that hold a class. Rows of an image stand together."""
    found: dict[str, list[Row]] = {}
    table = csv.DictReader(lines(f"{ANNOTATIONS}/{BOXES[split]}"))
    for row in table:
        label, image = row.get("LabelName", ""), row.get("ImageID", "")
        if label not in ids or not image.isalnum():
            continue
        if image not in found and len(found) == limit:
            break
        try:
            box = [float(row[key]) for key in ("XMin", "YMin", "XMax", "YMax")]
        except (KeyError, TypeError, ValueError):
            raise UserError("a row of Open Images' boxes can't be read", value=str(row)[:120]) from None
        found.setdefault(image, []).append((ids[label], box, row.get("IsGroupOf") == "1"))
    return found


def _fetched(image: str, own: list[Row], split: str, folder: Path) -> tuple[str, int, int, Any, Any, Any, Any]:
    """One picture with its boxes, as `coco_json` takes it."""
    from PIL import Image

    path = folder / f"{image}.jpg"
    fetch(f"{IMAGES}/{split}/{image}.jpg", path, most=MOST_BYTES)
    try:
        with Image.open(path) as picture:
            width, height = picture.size
    except OSError:
        raise UserError("what was downloaded is no picture", value=path.name) from None
    boxes = np.array([box for _, box, _ in own]) * np.array([width, height] * 2)
    classes, group = np.array([c for c, _, _ in own], np.int64), np.array([g for _, _, g in own], bool)
    return path.name, width, height, boxes[~group], classes[~group], boxes[group], classes[group]
