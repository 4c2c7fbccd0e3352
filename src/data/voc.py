"""Read and write Pascal VOC, in every layout that `voc_layout` finds.

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

from src.common.errors import UserError
from src.common.image_files import IMAGE_SUFFIXES
from src.common.whole_files import read_regular
from src.data.folders import unread
from src.data.hints import not_found, suggestion
from src.data.labels import parse_float
from src.data.text_files import read_lines
from src.data.types import Boxes, Classes, Finding, Level, RawDataset, RawItem, raise_errors
from src.data.voc_layout import (
    ANNOTATIONS,
    REMEDY,
    Layout,
    Pairs,
    broken_pairs,
    classes_file,
    find_layout,
    folder_split,
    list_splits,
    pair,
)
from src.data.xml_files import parse_xml

MARKED = ("1", "true", "yes")  # an object as `difficult`; tools other than VOC's own write words
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
    written: list[str] = field(default_factory=list)  # each object as the file has it, for messages
    problems: list[tuple[str, str]] = field(default_factory=list)  # code, message


def parse_voc(data: bytes) -> Parsed:
    """Parse an annotation file.

    Raises:
        VocError: not XML, or not an annotation. Document types are refused: entities can expand without end.
    """
    try:
        root = parse_xml(data)
    except ValueError as error:
        raise VocError(str(error)) from None
    if root.tag != "annotation":
        own = ": this is CVAT's own XML: data=cvat data.path=DIR" if root.tag == "annotations" else ""
        raise VocError(f"expected <annotation>, found <{root.tag[:40]}>{own}")
    parsed = Parsed(filename=_text(root, "filename"), size=_size(root))
    for number, item in enumerate(root.iter("object"), start=1):
        _read_object(item, number, parsed)
    loose = len(list(root.iter("bndbox"))) - sum(len(list(item.iter("bndbox"))) for item in root.iter("object"))
    if loose > 0:
        parsed.problems.append(("label-malformed", f"{loose} <bndbox> stand in no <object>: each object needs one"))
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
    if len(numbers) < 4 or len(item.findall("bndbox")) > 1:
        parsed.problems.append(("label-malformed", f"object {number} ({name[:40]}) {_lacking(item)}"))
    elif not all(map(math.isfinite, numbers)):
        parsed.problems.append(("box-non-finite", f"object {number} ({name[:40]}) has a number that is not finite"))
    else:
        parsed.names.append(name)
        parsed.corners.append((numbers[0], numbers[1], numbers[2], numbers[3]))
        parsed.difficult.append(_text(item, "difficult").lower() in MARKED)
        shown = ", ".join(f"{corner} {_text(item, f'bndbox/{corner}')[:24]}" for corner in CORNERS)
        parsed.written.append(f"of object {number} ({name[:40]}): {shown}:")


def _lacking(item: ET.Element) -> str:
    """Why an object has no box: what its `bndbox` holds, or what it has instead."""
    found = item.findall("bndbox")
    if len(found) > 1:
        return f"has {len(found)} bndbox: one object has one, others need an <object> each"
    if not found:
        others = [child.tag for child in item if child.tag in ("polygon", "robndbox", "segm", "mask", "ellipse")]
        return f"has no bndbox{f', but a {others[0]}, which is not read: export boxes' if others else ''}"
    held = ", ".join(f"{child.tag} {(child.text or '').strip()[:24]!r}" for child in found[0])[:160]
    return f"has no complete bndbox: xmin, ymin, xmax and ymax are numbers, found {held or 'nothing'}"


def read_voc(folder: Path, *, one_based: bool = False) -> RawDataset:
    """Read a VOC folder.

    Raises:
        UserError: the folder isn't laid out as VOC, or holds no class.
    """
    if not folder.is_dir():
        raise UserError("data.path is not a VOC folder", value=folder, remedy=REMEDY)
    data = RawDataset([], [], origin=str(folder))
    layout = find_layout(folder)
    splits = list_splits(layout, data.findings)
    found = _parse_all(layout, data.findings)
    data.class_names = _class_names(folder, found, data.findings)
    if splits is not None and not splits:
        raise_errors(data.findings, str(folder))
        raise UserError(f"{folder}: the lists in ImageSets name no image", remedy="fill them, or take them away")
    pairs = pair(layout, {file: parsed.filename for file, parsed in found.items()})
    _add_items(data, found, pairs, layout, splits, one_based=one_based)
    data.findings += layout.tree.findings()
    return data


def _parse_all(layout: Layout, findings: list[Finding]) -> dict[Path, Parsed]:
    """Every annotation file; what is none is an error where a picture has its name."""
    found: dict[Path, Parsed] = {}
    for file in layout.files:
        try:
            found[file] = parse_voc(read_regular(file))
        except (VocError, OSError) as error:
            images = layout.images.get(layout.key(file), [])
            apart = any(part.lower() in ANNOTATIONS for part in file.relative_to(layout.folder).parts)
            level: Level = "error" if images or apart or len(layout.files) == 1 else "warning"
            text = str(error) if level == "error" else f"was skipped: {error}"
            image = str(images[0]) if images else ""
            findings.append(Finding(level, "label-malformed", text, str(file), image=image))
    return found


def _add_items(
    data: RawDataset,
    found: dict[Path, Parsed],
    pairs: Pairs,
    layout: Layout,
    splits: dict[Path, str] | None,
    *,
    one_based: bool,
) -> None:
    """Items for every picture, with its annotation where it has one; with lists, for the listed ones alone."""
    class_of = {name: index for index, name in enumerate(data.class_names)}
    place = splits.get if splits is not None else lambda image: folder_split(layout, image)
    items = []
    for file, image in pairs.images.items():
        split = place(image)
        if split is not None:
            items.append(_item(image, file, found[file], split, class_of, data.findings, one_based=one_based))
    used = set(pairs.images.values()) | {Path(f.image) for f in (*pairs.findings, *data.findings) if f.image}
    rest = [p for same in layout.images.values() for p in same if p not in used]
    loose = [p for p in rest if p.suffix.lower() in IMAGE_SUFFIXES and place(p) is not None]
    # A picture whose annotation can't be read, or can't be told, stays: the error names it.
    torn = sorted(used - set(pairs.images.values()))
    data.items += sorted(items, key=lambda item: str(item.image))
    data.items += [RawItem(p, place(p) or "", relative=False) for p in [*loose, *torn] if place(p) is not None]
    orphans = [(f, parsed.filename, bool(parsed.names)) for f, parsed in found.items() if f not in pairs.images]
    told = {f.file for f in pairs.findings if f.level == "error"}
    data.findings += _same_name(loose, pairs, layout)
    broken_pairs([row for row in orphans if str(row[0]) not in told], [(p, place(p) or "") for p in loose], pairs)
    data.findings += pairs.findings
    if splits is not None:
        data.findings += _unlisted([*pairs.images.values(), *rest], splits, layout)
    data.findings += unread([p for p in rest if p.suffix.lower() not in IMAGE_SUFFIXES], layout.folder)


def _same_name(loose: Sequence[Path], pairs: Pairs, layout: Layout) -> list[Finding]:
    """Pictures without an annotation that share their name with one that has one: it may be theirs."""
    owners = {layout.key(image): file for file, image in pairs.images.items()}
    text = "has the name of this picture too, and was given to another"
    found = [(p, owners.get(layout.key(p))) for p in loose]
    return [Finding("error", "label-ambiguous", f"{file} {text}", str(p), image=str(p)) for p, file in found if file]


def _unlisted(images: Sequence[Path], splits: dict[Path, str], layout: Layout) -> list[Finding]:
    """Images that no list names are not part of the dataset: VOC's folders hold those of other tasks too."""
    loose = [image for image in images if image not in splits]
    if not loose:
        return []
    text = f"{len(loose)} images are in no list of ImageSets and were not used, e.g. {loose[0].name}"
    return [Finding("warning", "image-unlisted", text, str(layout.folder))]


def _class_names(folder: Path, found: dict[Path, Parsed], findings: Sequence[Finding]) -> list[str]:
    seen = sorted({name for parsed in found.values() for name in parsed.names})
    file = classes_file(folder)
    if file is not None and file.is_file():
        return list(dict.fromkeys(read_lines(file)))
    if not seen:
        # Why there is none: a suggestion would hide what is wrong with the files themselves.
        problems = [Finding("error", *told, str(file)) for file, own in found.items() for told in own.problems]
        if found or not suggestion(folder, "voc"):
            raise_errors([*findings, *problems], str(folder))
        raise not_found(folder, "voc", "no annotation names a class", "add <object> with <name>")
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
    written = [text for text, ok, bad in zip(parsed.written, known, parsed.difficult, strict=True) if ok and not bad]
    item = RawItem(image, split, relative=False, label_file=str(file), stated_size=parsed.size, written=written)
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
