"""Read and write COCO JSON: `images/{train,val,test}` with `annotations/instances_{train,val,test}.json`.

Crowd annotations become regions to ignore, never training boxes; category ids need not be contiguous and are kept, so
that a conversion back gives the same ids. Images without annotations are backgrounds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from src.data.types import SPLITS, Areas, Finding, RawDataset, RawItem
from src.errors import UserError
from src.files import read_regular

# Folder and file names in use for each split: this project's own first, then COCO's as downloaded.
SPLIT_NAMES = {"train": ("train", "train2017"), "val": ("val", "valid", "val2017"), "test": ("test", "test2017")}


def read_coco(folder: Path) -> RawDataset:
    """Read a COCO folder.

    Raises:
        UserError: the folder or its annotation files don't exist, or aren't COCO JSON.
    """
    if not folder.is_dir():
        raise UserError("data.path is not a folder", value=folder, remedy="data.path=DIR with images/ and annotations/")
    data = RawDataset([], [], origin=str(folder))
    files = {split: found for split in SPLITS if (found := _annotation_file(folder, split))}
    if not files:
        raise UserError(
            f"{folder}: no annotation file", remedy="expected annotations/instances_train.json (and _val, _test)"
        )
    parsed = {split: _load(file) for split, (file, _) in files.items()}
    categories = _categories({split: (files[split][0], raw) for split, raw in parsed.items()})
    data.category_ids = sorted(categories)
    data.class_names = [categories[i] for i in data.category_ids]
    class_of = {category: index for index, category in enumerate(data.category_ids)}
    for split, raw in parsed.items():
        file, name = files[split]
        _read_split(raw, split, file, _image_folder(folder, name), class_of, data)
    return data


def _annotation_file(folder: Path, split: str) -> tuple[Path, str] | None:
    for name in SPLIT_NAMES[split]:
        file = folder / "annotations" / f"instances_{name}.json"
        if file.is_file():
            return file, name
    return None


def _image_folder(folder: Path, name: str) -> Path:
    for candidate in (folder / "images" / name, folder / name, folder / "images"):
        if candidate.is_dir():
            return candidate
    raise UserError(f"{folder}: no folder of images for `{name}`", value=folder / "images" / name)


def _load(file: Path) -> dict[str, Any]:
    try:
        raw = json.loads(read_regular(file))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file}: not valid JSON ({str(error)[:120]})") from None
    if not isinstance(raw, dict):
        raise UserError(f"{file}: expected an object with images, annotations and categories")
    for key in ("images", "annotations", "categories"):
        if not isinstance(raw.get(key), list) or not all(isinstance(row, dict) for row in raw[key]):
            raise UserError(
                f"{file}: `{key}` is missing or not a list of objects", remedy="see cocodataset.org, data format"
            )
    return raw


def _categories(parsed: dict[str, tuple[Path, dict[str, Any]]]) -> dict[int, str]:
    """Category id to name over all splits, which must agree."""
    found: dict[int, str] = {}
    for file, raw in parsed.values():
        for row in raw["categories"]:
            number, name = row.get("id"), row.get("name")
            if not _is_int(number) or not isinstance(name, str):
                raise UserError(f"{file}: a category needs an integer `id` and a `name`", value=str(row)[:120])
            if found.setdefault(number, name) != name:
                raise UserError(f"{file}: category {number} has two names", value=f"{found[number]!r} and {name!r}")
    if not found:
        raise UserError(f"{next(iter(parsed.values()))[0]}: `categories` is empty", remedy="name at least one class")
    return found


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 62


def _read_split(
    raw: dict[str, Any], split: str, file: Path, images: Path, class_of: dict[int, int], data: RawDataset
) -> None:
    items: dict[int, RawItem] = {}
    for row in raw["images"]:
        number, name = row.get("id"), row.get("file_name")
        if not _is_int(number) or not isinstance(name, str) or not name or "\0" in name:
            data.findings.append(
                _problem("label-malformed", f"an image needs `id` and `file_name`: {str(row)[:80]}", file)
            )
            continue
        if number in items:
            data.findings.append(_problem("label-malformed", f"image id {number} is used twice", file))
            continue
        item = RawItem(images / name, split, relative=False, stated_size=_size(row))
        items[number] = item
    rows: dict[int, list[list[float]]] = {number: [] for number in items}
    for row in raw["annotations"]:
        _read_annotation(row, file, items, class_of, rows, data.findings)
    for number, item in items.items():
        _fill(item, rows[number], file)
    data.items += items.values()


def _size(row: dict[str, Any]) -> tuple[int, int] | None:
    width, height = row.get("width"), row.get("height")
    if _is_int(width) and _is_int(height) and width > 0 and height > 0:
        return width, height
    return None


def _read_annotation(
    row: dict[str, Any],
    file: Path,
    items: dict[int, RawItem],
    class_of: dict[int, int],
    rows: dict[int, list[list[float]]],
    findings: list[Finding],
) -> None:
    """Add one annotation to its image's rows (class, crowd, cx, cy, w, h, area), or say what is wrong with it."""
    number, category, box = row.get("image_id"), row.get("category_id"), row.get("bbox")
    what = f"annotation {str(row.get('id'))[:24]}"
    if not _is_int(number) or number not in items:
        findings.append(_problem("label-malformed", f"{what}: its image_id {str(number)[:24]} is not listed", file))
        return
    image = str(items[number].image)
    if not _is_int(category) or category not in class_of:
        findings.append(
            _problem("class-id", f"{what}: its category_id {str(category)[:24]} is not listed", file, image)
        )
        return
    if not isinstance(box, list) or len(box) != 4 or not all(_is_number(v) for v in box):
        findings.append(_problem("label-malformed", f"{what}: bbox must be [x, y, width, height]", file, image))
        return
    try:
        x, y, w, h = (float(v) for v in box)
    except OverflowError:
        x = y = w = h = math.inf
    if not all(map(math.isfinite, (x, y, w, h))):
        findings.append(_problem("box-non-finite", f"{what}: bbox holds a number that is not finite", file, image))
        return
    crowd = float(row.get("iscrowd") in (1, True))
    rows[number].append([class_of[category], crowd, x + w / 2, y + h / 2, w, h, _area(row.get("area"))])


def _area(value: object) -> float:
    """An annotated area in px²; NaN where there is none that an object could have."""
    try:
        area = float(value) if _is_number(value) else math.nan
    except OverflowError:
        return math.nan
    return area if 0 < area < math.inf else math.nan


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _problem(code: str, message: str, file: Path, image: str = "") -> Finding:
    return Finding("error", code, message, str(file), image=image)


def _fill(item: RawItem, rows: list[list[float]], file: Path) -> None:
    table = np.array(rows, dtype=np.float64).reshape(-1, 7)
    crowd = table[:, 1] > 0
    item.label_file = str(file)
    item.boxes, item.classes, item.areas = table[~crowd, 2:6], table[~crowd, 0].astype(np.int64), table[~crowd, 6]
    item.ignored, item.ignored_classes = table[crowd, 2:6], table[crowd, 0].astype(np.int64)
    item.lines = [0] * len(item.classes)


def coco_json(
    images: Sequence[tuple[str, int, int, Any, Any, Any, Any]],
    class_names: list[str],
    category_ids: list[int],
    areas: Sequence[Areas] = (),
) -> dict[str, Any]:
    """COCO JSON of one split.

    Args:
        images: (file name, width, height, boxes [n, 4] x1 y1 x2 y2 px, classes [n], crowd boxes [m, 4], classes [m]).
        category_ids: id by class id; empty for 1, 2, 3, …
        areas: annotated areas [n] of each image's boxes, px², NaN where there is none; empty for those of the boxes.
    """
    ids = category_ids or list(range(1, len(class_names) + 1))
    annotations: list[dict[str, Any]] = []
    rows = []
    for number, (name, width, height, boxes, classes, ignored, ignored_classes) in enumerate(images, start=1):
        rows.append({"id": number, "file_name": name, "width": width, "height": height})
        known = areas[number - 1] if areas else np.full(len(classes), np.nan)
        none = np.full(len(ignored_classes), np.nan)
        for crowd, own, labels, sizes in ((0, boxes, classes, known), (1, ignored, ignored_classes, none)):
            for (x1, y1, x2, y2), label, size in zip(own.tolist(), labels.tolist(), sizes.tolist(), strict=True):
                box = [x1, y1, x2 - x1, y2 - y1]
                area = box[2] * box[3] if math.isnan(size) else size
                common = {"id": len(annotations) + 1, "image_id": number, "category_id": ids[label]}
                annotations.append({**common, "bbox": box, "area": area, "iscrowd": crowd})
    categories = [{"id": ids[i], "name": name} for i, name in enumerate(class_names)]
    return {"images": rows, "annotations": annotations, "categories": categories}
