"""Read and write COCO JSON, in every layout that `coco_layout` finds.

Crowd annotations become regions to ignore, never training boxes; category ids need not be contiguous and are kept, so
that a conversion back gives the same ids. Images without annotations are backgrounds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from src.common.errors import UserError
from src.data.coco_layout import Source, find_sources, locate, merge_same, none_found, unlisted
from src.data.coco_masks import bounds
from src.data.lvis import partly_labelled, picture_name
from src.data.other_formats import named
from src.data.text_files import read_json
from src.data.types import Areas, Finding, RawDataset, RawItem

WIDEST = 1 << 128  # an id may be a hash
CROWD = {"0": 0.0, "1": 1.0, "false": 0.0, "true": 1.0, "": 0.0}
Id = int | str  # of an image or category: a whole number, or text that is none


def read_coco(folder: Path) -> RawDataset:
    """Read a COCO folder, or one annotation file.

    Raises:
        UserError: the folder or its annotation files don't exist, or aren't COCO JSON.
    """
    if not folder.exists():
        raise UserError("data.path is not a folder", value=folder, remedy="data.path=DIR with images/ and annotations/")
    data = RawDataset([], [], origin=str(folder))
    sources, tree = find_sources(folder)
    parsed = [(source, _load(source.file)) for source in sources]
    categories = _categories([(source.file, raw) for source, raw in parsed], data.findings)
    ids = sorted(categories, key=lambda i: (isinstance(i, str), i))
    data.category_ids = [i for i in ids if isinstance(i, int)] if not any(isinstance(i, str) for i in ids) else []
    data.class_names = [categories[i] for i in ids]
    class_of = {category: index for index, category in enumerate(ids)}
    for source, raw in parsed:
        _read_split(raw, source, tree.folder, class_of, data)
    data.items = merge_same(data.items, data.findings)
    data.findings += unlisted(data.items, tree)
    return data


def _load(file: Path) -> dict[str, Any]:
    raw = read_json(file)
    if not isinstance(raw, dict):
        plain = UserError(
            f"{file}: expected an object with images, annotations and categories",
            value=type(raw).__name__,
            remedy="a list holds predictions, not a dataset: see cocodataset.org, data format",
        )
        raise named(file, plain)
    for key in ("images", "annotations", "categories"):
        if not isinstance(raw.get(key), list) or not all(isinstance(row, dict) for row in raw[key]):
            plain = UserError(
                f"{file}: `{key}` is missing or not a list of objects", remedy="see cocodataset.org, data format"
            )
            raise named(file, plain)
    return raw


def _categories(parsed: Sequence[tuple[Path, dict[str, Any]]], findings: list[Finding]) -> dict[Id, str]:
    """Category id to name over all files, which must agree; without the categories that only group others.

    Raises:
        UserError: a category without id or name, with two names, or with the name of another.
    """
    found: dict[Id, str] = {}
    parents: dict[Id, str] = {}
    for file, raw in parsed:
        for row in raw["categories"]:
            number, name = _id(row.get("id")), row.get("name")
            if number is None or not isinstance(name, str):
                raise UserError(
                    f"{file}: a category needs an integer `id` and a `name`",
                    value=str(row)[:120],
                    remedy='{"id": 1, "name": "cat"}',
                )
            name = name.strip()
            if found.setdefault(number, name) != name:
                raise UserError(f"{file}: category {number} has two names", value=f"{found[number]!r} and {name!r}")
            parents[number] = str(row.get("supercategory") or "").strip()
    if not found:
        raise UserError(f"{parsed[0][0]}: `categories` is empty", remedy="name at least one class")
    used = {_id(row.get("category_id")) for _, raw in parsed for row in raw["annotations"]}
    _drop_groups(found, parents, used, parsed[0][0], findings)
    for name in {name for name in found.values() if list(found.values()).count(name) > 1}:
        ids = [number for number, own in found.items() if own == name]
        raise UserError(
            f"{parsed[0][0]}: categories {' and '.join(map(str, ids))} are both called {name[:60]!r}",
            remedy="give each class a name of its own, or make them one category",
        )
    return found


def _drop_groups(
    found: dict[Id, str], parents: dict[Id, str], used: Collection[Id | None], file: Path, findings: list[Finding]
) -> None:
    """Take out categories without a box that others name as their `supercategory` (as Roboflow writes them)."""
    for number, name in list(found.items()):
        groups = [other for other, parent in parents.items() if other != number and parent == name]
        if groups and number not in used and parents[number] != name:
            del found[number]
            names = ", ".join(found[other] for other in groups[:5] if other in found)
            text = f"category {number} ({name[:60]}) groups others ({names}) and has no box: it is no class"
            findings.append(Finding("warning", "category-group", text, str(file)))


def _id(value: object) -> Id | None:
    """An id as JSON has it: a whole number, also as 3.0 or "3"; other text as it is; None when it is none of these."""
    if isinstance(value, str) and value.strip():
        text = value.strip()
        return int(text) if text.isdecimal() and text.isascii() and len(text) < 19 and str(int(text)) == text else text
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return int(value)
    return value if _is_int(value) else None


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < WIDEST


def _read_split(raw: dict[str, Any], source: Source, folder: Path, class_of: dict[Id, int], data: RawDataset) -> None:
    file = source.file
    items = _read_images(raw, source, folder, data)
    rows: dict[Id, list[list[float]]] = {number: [] for number in items}
    written: dict[Id, list[str]] = {number: [] for number in items}
    for row in raw["annotations"]:
        _read_annotation(row, file, items, class_of, rows, data.findings)
        number = _id(row.get("image_id"))
        if number in rows and len(written[number]) < len(rows[number]):
            written[number].append(_as_written(row))
    for number, item in items.items():
        _fill(item, rows[number], file)
        item.written = [text for text, values in zip(written[number], rows[number], strict=True) if not values[1]]
    data.items += items.values()
    data.findings += partly_labelled(raw["images"], file)


def _as_written(row: dict[str, Any]) -> str:
    """An annotation as a message shows it: its id, and its numbers as the file has them."""
    box = row.get("bbox")
    return f"{json.dumps(box)[:120] if box else '(of its segmentation)'} of annotation {str(row.get('id'))[:24]}"


def _read_images(raw: dict[str, Any], source: Source, folder: Path, data: RawDataset) -> dict[Id, RawItem]:
    """The images of one annotation file, by id.

    Raises:
        UserError: not one of them is there.
    """
    items: dict[Id, RawItem] = {}
    missing: list[str] = []
    for row in raw["images"]:
        number, name = _id(row.get("id")), picture_name(row)
        if number is None or not name or "\0" in name:
            text = f"an image needs an `id` (a number or text) and a `file_name`: {str(row)[:80]}"
            data.findings.append(_problem("label-malformed", text, source.file))
            continue
        if number in items:
            data.findings.append(_problem("label-malformed", f"image id {number} is used twice", source.file))
            continue
        image, word = locate(name, source)
        if image is None:
            missing.append(name)
        elif word:
            data.findings.append(Finding("warning", "image-other-name", word, str(image), image=str(image)))
        path = image or (source.folders or [folder])[0] / name
        items[number] = RawItem(path, source.split, relative=False, stated_size=_size(row))
    if missing and len(missing) == len(items):
        raise none_found(missing, source, folder)
    return items


def _size(row: dict[str, Any]) -> tuple[int, int] | None:
    width, height = _id(row.get("width")), _id(row.get("height"))  # whole numbers, also as 640.0 or "640"
    if isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0:
        return width, height
    return None


def _read_annotation(
    row: dict[str, Any],
    file: Path,
    items: dict[Id, RawItem],
    class_of: dict[Id, int],
    rows: dict[Id, list[list[float]]],
    findings: list[Finding],
) -> None:
    """Add one annotation to its image's rows (class, crowd, cx, cy, w, h, area), or say what is wrong with it."""
    number, category, box = _id(row.get("image_id")), _id(row.get("category_id")), row.get("bbox")
    what = f"annotation {str(row.get('id'))[:24]}"
    if number is None or number not in items:
        shown = str(row.get("image_id"))[:24]
        findings.append(_problem("label-malformed", f"{what}: its image_id {shown} is not listed", file))
        return
    image = str(items[number].image)
    if category is None or category not in class_of:
        shown = str(row.get("category_id"))[:24]
        findings.append(_problem("class-id", f"{what}: its category_id {shown} is not listed", file, image))
        return
    if box is None or box == []:
        box = bounds(row.get("segmentation"))
    if not isinstance(box, list) or len(box) != 4 or not all(_is_number(v) for v in box):
        findings.append(
            _problem("label-malformed", f"{what}: bbox must be [x, y, width, height]{_shown(row)}", file, image)
        )
        return
    try:
        x, y, w, h = (float(v) for v in box)
    except OverflowError:
        x = y = w = h = math.inf
    if not all(map(math.isfinite, (x, y, w, h))):
        findings.append(_problem("box-non-finite", f"{what}: bbox holds a number that is not finite", file, image))
        return
    crowd = _crowd(row.get("iscrowd"))
    if crowd is None:
        text = f"{what}: iscrowd must be 0 or 1, found {str(row['iscrowd'])[:24]!r}"
        findings.append(_problem("label-malformed", text, file, image))
        return
    rows[number].append([class_of[category], crowd, x + w / 2, y + h / 2, w, h, _area(row.get("area"))])


def _crowd(value: object) -> float | None:
    """0 or 1, also as text or truth; None for what is neither: a region to ignore must not become an object."""
    if isinstance(value, str):
        return CROWD.get(value.strip().lower())
    return 0.0 if value is None else float(value) if value in (0, 1) else None  # type: ignore[arg-type]


def _area(value: object) -> float:
    """An annotated area in px²; NaN where there is none that an object could have."""
    try:
        area = float(value) if _is_number(value) else math.nan
    except OverflowError:
        return math.nan
    return area if 0 < area < math.inf else math.nan


def _shown(row: dict[str, Any]) -> str:
    return f", found {str(row['bbox'])[:80]}" if row.get("bbox") else ", and its segmentation gives none"


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
