"""Read and write Pascal VOC: `JPEGImages/`, `Annotations/*.xml` and `ImageSets/Main/{train,val,test}.txt`.

XML names classes but doesn't number them: `classes.txt` beside the folders fixes the order where there is one, else
the names are sorted. Objects marked `difficult` are regions to ignore, as in VOC's own evaluation. Pixels are taken as
written; `one_based` subtracts the 1 that VOC's own files start counting from.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from src.data.labels import parse_float
from src.data.types import IMAGE_SUFFIXES, SPLITS, Boxes, Classes, Finding, RawDataset, RawItem
from src.errors import UserError
from src.files import read_regular

CORNERS = ("xmin", "ymin", "xmax", "ymax")
# XML names only a few characters that can't be written at all.
UNWRITABLE = {i: " " for i in range(32) if i not in (9, 10, 13)}


class VocError(Exception):
    """An annotation file is not VOC XML; the message says why."""


@dataclass
class Parsed:
    """One annotation file: the objects' names, corners and `difficult` marks, and what was wrong with others."""

    filename: str = ""
    size: tuple[int, int] | None = None
    names: list[str] = field(default_factory=list)
    corners: list[tuple[float, float, float, float]] = field(default_factory=list)
    difficult: list[bool] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)  # code, message


def parse_voc(data: bytes) -> Parsed:
    """Parse an annotation file.

    Raises:
        VocError: not XML, or not an annotation. Document types are refused: entities can expand without end.
    """
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise VocError("document types and entities are not allowed")
    try:
        root = ET.fromstring(data)
    except (ET.ParseError, ValueError, LookupError, RecursionError) as error:
        raise VocError(f"not valid XML ({str(error)[:100]})") from None
    if root.tag != "annotation":
        raise VocError(f"expected <annotation>, found <{root.tag[:40]}>")
    parsed = Parsed(filename=_text(root, "filename"), size=_size(root))
    for number, item in enumerate(root.iter("object"), start=1):
        _read_object(item, number, parsed)
    return parsed


def _text(node: ET.Element, tag: str) -> str:
    return (node.findtext(tag) or "").strip()


def _size(root: ET.Element) -> tuple[int, int] | None:
    width, height = (parse_float(_text(root, f"size/{side}")) for side in ("width", "height"))
    if width and height and 0 < width < 1e9 and 0 < height < 1e9:
        return int(width), int(height)
    return None


def _read_object(item: ET.Element, number: int, parsed: Parsed) -> None:
    name = _text(item, "name")
    if not name:
        parsed.problems.append(("label-malformed", f"object {number} has no name"))
        return
    values = [parse_float(_text(item, f"bndbox/{corner}")) for corner in CORNERS]
    numbers = [value for value in values if value is not None]
    if len(numbers) < 4:
        parsed.problems.append(("label-malformed", f"object {number} ({name[:40]}) has no complete bndbox"))
    elif not all(map(math.isfinite, numbers)):
        parsed.problems.append(("box-non-finite", f"object {number} ({name[:40]}) has a number that is not finite"))
    else:
        parsed.names.append(name)
        parsed.corners.append((numbers[0], numbers[1], numbers[2], numbers[3]))
        parsed.difficult.append(_text(item, "difficult") == "1")


def read_voc(folder: Path, *, one_based: bool = False) -> RawDataset:
    """Read a VOC folder.

    Raises:
        UserError: the folder isn't laid out as VOC, or holds no class.
    """
    annotations, images = folder / "Annotations", folder / "JPEGImages"
    if not annotations.is_dir() or not images.is_dir():
        raise UserError("data.path is not a VOC folder", value=folder, remedy="it needs JPEGImages/ and Annotations/")
    data = RawDataset([], [], origin=str(folder))
    splits = _splits(folder, data.findings)
    found: dict[str, tuple[Path, Parsed]] = {}
    for file in sorted(annotations.glob("*.xml")):
        try:
            found[file.stem] = (file, parse_voc(read_regular(file)))
        except (VocError, OSError) as error:
            image = _image(images, file.stem, "")
            data.findings.append(
                Finding("error", "label-malformed", str(error), str(file), image=str(image) if image else "")
            )
    data.class_names = _class_names(folder, found)
    pictures = {p.stem: p for p in sorted(images.iterdir()) if p.suffix.lower() in IMAGE_SUFFIXES}
    _add_items(data, found, pictures, images, splits, one_based=one_based)
    return data


def _add_items(
    data: RawDataset,
    found: dict[str, tuple[Path, Parsed]],
    pictures: dict[str, Path],
    images: Path,
    splits: dict[str, str],
    *,
    one_based: bool,
) -> None:
    class_of = {name: index for index, name in enumerate(data.class_names)}
    used = set()
    for stem, (file, parsed) in found.items():
        image = _image(images, stem, parsed.filename)
        if image is None:
            text = f"this annotation has no image ({parsed.filename[:60] or stem})"
            data.findings.append(Finding("warning", "label-without-image", text, str(file)))
            continue
        used.add(image)
        data.items.append(
            _item(image, file, parsed, splits.get(stem, ""), class_of, data.findings, one_based=one_based)
        )
    data.items += [RawItem(p, splits.get(stem, ""), relative=False) for stem, p in pictures.items() if p not in used]
    if splits and any(not item.split for item in data.items):
        # Images that no list names are not part of the dataset: VOC's folders hold those of other tasks too.
        data.items = [item for item in data.items if item.split]


def _image(images: Path, stem: str, filename: str) -> Path | None:
    """The image an annotation belongs to: the file it names, or one of its own stem."""
    named = images / Path(filename.replace("\0", "")).name if filename else None
    if named is not None and named.is_file() and named.suffix.lower() in IMAGE_SUFFIXES:
        return named
    return next((p for suffix in sorted(IMAGE_SUFFIXES) if (p := images / f"{stem}{suffix}").is_file()), None)


def _splits(folder: Path, findings: list[Finding]) -> dict[str, str]:
    """Split by stem; an image listed twice stays in the list opened last (test, then val)."""
    result: dict[str, str] = {}
    for split in SPLITS:
        file = folder / "ImageSets" / "Main" / f"{split}.txt"
        if not file.is_file():
            continue
        stems = [line.split()[0] for line in read_regular(file).decode("utf-8", "replace").splitlines() if line.strip()]
        for stem in stems:
            if stem in result and result[stem] != split:
                text = f"{stem} is listed in {result[stem]} and in {split}; it counts for {split}"
                findings.append(Finding("warning", "split-overlap", text, str(file)))
            result[stem] = split
    return result


def _class_names(folder: Path, found: dict[str, tuple[Path, Parsed]]) -> list[str]:
    seen = sorted({name for _, parsed in found.values() for name in parsed.names})
    file = folder / "classes.txt"
    if file.is_file():
        listed = [line.strip() for line in read_regular(file).decode("utf-8", "replace").splitlines() if line.strip()]
        return list(dict.fromkeys(listed))
    if not seen:
        raise UserError(f"{folder / 'Annotations'}: no annotation names a class", remedy="add <object> with <name>")
    return seen


def _item(
    image: Path,
    file: Path,
    parsed: Parsed,
    split: str,
    class_of: dict[str, int],
    findings: list[Finding],
    *,
    one_based: bool,
) -> RawItem:
    findings += [Finding("error", code, text, str(file), image=str(image)) for code, text in parsed.problems]
    known = [name in class_of for name in parsed.names]
    for name in sorted({n for n, ok in zip(parsed.names, known, strict=True) if not ok}):
        text = f"class {name[:40]!r} is not listed in classes.txt"
        findings.append(Finding("error", "class-id", text, str(file), image=str(image)))
    corners = np.array(parsed.corners, np.float64).reshape(-1, 4)[known]
    corners[:, :2] -= 1.0 if one_based else 0.0
    centres: Boxes = np.hstack([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]])
    classes: Classes = np.array([class_of[n] for n in parsed.names if n in class_of], np.int64)
    hard = np.array(parsed.difficult, bool)[known]
    item = RawItem(image, split, relative=False, label_file=str(file), stated_size=parsed.size)
    item.boxes, item.classes, item.lines = centres[~hard], classes[~hard], [0] * int((~hard).sum())
    item.ignored, item.ignored_classes, item.difficult = centres[hard], classes[hard], bool(hard.any())
    return item


def voc_xml(
    filename: str,
    size: tuple[int, int],
    objects: Sequence[tuple[str, Sequence[float], bool]],
) -> str:
    """One annotation file. Corners are written with all their digits, so that reading them back is exact.

    Args:
        size: width, height, px.
        objects: (class name, x1 y1 x2 y2 px, difficult).
    """
    lines = [
        "<annotation>",
        f"  <filename>{escape(filename)}</filename>",
        f"  <size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>",
    ]
    for name, corners, difficult in objects:
        box = "".join(f"<{tag}>{value!r}</{tag}>" for tag, value in zip(CORNERS, corners, strict=True))
        text = escape(name.translate(UNWRITABLE))
        mark = f"<difficult>{int(difficult)}</difficult>"
        lines.append(f"  <object><name>{text}</name>{mark}<bndbox>{box}</bndbox></object>")
    return "\n".join([*lines, "</annotation>", ""])
