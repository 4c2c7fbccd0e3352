"""A second reader of annotations, as short as can be and sharing no code with `src`, to hold what was read against.

It knows no layout: it takes every annotation file below a folder and finds its picture by stem. So it works only where
a stem (with its folder, where that is needed) names one picture, as in the cases.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from urllib.parse import unquote

from PIL import Image

Row = tuple[str, float, float, float, float]  # class, x1, y1, x2, y2 in pixels
Found = dict[Path, list[Row]]  # by picture

PICTURES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".avif", ".jp2")


def pictures(folder: Path) -> list[Path]:
    """Pictures that aren't hidden."""
    found = [p for p in folder.rglob("*") if p.suffix.lower() in PICTURES]
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts))


def size(path: Path) -> tuple[int, int]:
    """Width and height."""
    with Image.open(path) as image:
        return image.size


def yolo(folder: Path, names: list[str]) -> Found:
    """Boxes of YOLO rows; the columns after the fifth count only when they make the row a polygon (no `kpt_shape`)."""
    text = next(iter(folder.glob("*.yaml")), None)
    pose = text is not None and b"kpt_shape" in text.read_bytes()
    found: Found = {}
    for picture in pictures(folder):
        width, height = size(picture)
        files = [p for p in folder.rglob("*") if p.suffix.lower() == ".txt" and p.stem == picture.stem]
        rows = [line.split() for p in files for line in p.read_text().splitlines() if line.strip()]
        found[picture] = []
        for name, *rest in rows:
            values = [float(v) for v in rest]
            if len(values) > 4 and not pose:
                x1, x2, y1, y2 = min(values[::2]), max(values[::2]), min(values[1::2]), max(values[1::2])
            else:
                x, y, w, h = values[:4]
                x1, x2, y1, y2 = x - w / 2, x + w / 2, y - h / 2, y + h / 2
            found[picture].append((names[int(name)], x1 * width, y1 * height, x2 * width, y2 * height))
    return found


def coco(folder: Path, names: list[str]) -> Found:
    """Boxes of every JSON file; a picture is known by the stem of the last part of its name."""
    by_stem = {p.stem: p for p in pictures(folder)}
    found: Found = {p: [] for p in by_stem.values()}
    for file in folder.rglob("*.json"):
        raw = json.loads(file.read_text())
        labels = {c["id"]: c["name"] for c in raw["categories"]}
        images = {i["id"]: Path(re.split(r"[\\/]", unquote(i["file_name"]))[-1]).stem for i in raw["images"]}
        for own in raw["annotations"]:
            if own.get("bbox"):
                x, y, w, h = own["bbox"]
            else:
                xs, ys = own["segmentation"][0][::2], own["segmentation"][0][1::2]
                x, y, w, h = min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
            found[by_stem[images[own["image_id"]]]].append((labels[own["category_id"]], x, y, x + w, y + h))
    return found


def voc(folder: Path, names: list[str]) -> Found:
    """Boxes of every XML file; its picture has its stem, in a folder of the same name or of none."""
    found: Found = {p: [] for p in pictures(folder)}
    for file in [p for p in folder.rglob("*") if p.suffix.lower() == ".xml"]:
        near = [p for p in found if p.stem == file.stem]
        same = [p for p in near if p.parent.name == file.parent.name] or near
        for item in ET.parse(file).getroot().iter("object"):
            corners = [float(item.findtext(f"bndbox/{tag}") or "nan") for tag in ("xmin", "ymin", "xmax", "ymax")]
            found[same[0]].append(((item.findtext("name") or "").strip(), *corners))  # type: ignore[arg-type]
    return found


READERS = {"yolo": yolo, "coco": coco, "voc": voc}
