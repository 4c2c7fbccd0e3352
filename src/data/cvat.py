"""Read and write CVAT's own XML ("CVAT for images 1.1"): boxes, polygons, masks and ellipses of every picture.

A turned box counts by the upright one around it. Points, lines and cuboids have no box and are left out, which is told.
"CVAT for video" has tracks over frames instead of pictures, and is refused with what to export instead.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from src.common.errors import UserError
from src.common.whole_files import read_regular
from src.data.folders import split_of
from src.data.hints import not_found
from src.data.labels import parse_float
from src.data.tool_exports import Corners, Labelled, around, dataset_of, left_out, refuse_boxless, turned
from src.data.types import Finding, RawDataset
from src.data.voc import UNWRITABLE
from src.data.xml_files import parse_xml

FILE = "annotations.xml"
WITHOUT_BOX = ("polyline", "points", "cuboid", "skeleton", "tag")
REMEDY = "export the task from CVAT as `CVAT for images 1.1`, with the images"


def read_cvat(path: Path) -> RawDataset:
    """Read an export: its annotations.xml, or the folder that it lies in.

    Raises:
        UserError: there is none, it is not CVAT's, or none of its pictures is there.
    """
    file = path if path.is_file() else path / FILE
    if not file.is_file():
        raise not_found(path, "cvat", f"no {FILE} of CVAT lies here", REMEDY)
    root = _root(file)
    if root.find("track") is not None and root.find("image") is None:
        raise UserError(f"{file}: this is `CVAT for video`, tracks over frames without pictures", remedy=REMEDY)
    findings: list[Finding] = []
    shapes: Counter[str] = Counter()
    nodes = list(root.iter("image"))
    named = [node for node in nodes if node.get("name", "").strip()]
    findings += [_nameless(node, file) for node in nodes if node not in named]
    pictures = [_picture(node, file, findings, shapes) for node in named]
    names = list(dict.fromkeys((n.text or "").strip() for n in root.iterfind(".//meta//labels/label/name")))
    findings += left_out(shapes, file, "boxes, polygons, masks and ellipses have one")
    what = "no image has a labelled box" if names else "it names no label and holds no box"
    refuse_boxless(pictures, findings, f"{file}: {what}", "draw boxes in CVAT, and export again" if names else REMEDY)
    return dataset_of(file, file.parent, pictures, [n for n in names if n], findings)


def _root(file: Path) -> ET.Element:
    try:
        root = parse_xml(read_regular(file))
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: {str(error)[:300]}", remedy=REMEDY) from None
    if root.tag != "annotations":
        raise UserError(f"{file}: expected <annotations>, found <{root.tag[:40]}>", remedy=REMEDY)
    return root


def _nameless(node: ET.Element, file: Path) -> Finding:
    text = f"image {node.get('id', '')[:24]!r} has no `name`: which picture it is can't be told"
    return Finding("error", "label-malformed", text, str(file))


def _picture(node: ET.Element, file: Path, findings: list[Finding], shapes: Counter[str]) -> Labelled:
    name = node.get("name", "")
    width, height = (parse_float(node.get(key, "")) for key in ("width", "height"))
    size = (int(width), int(height)) if width and height and 0 < width < 1e6 and 0 < height < 1e6 else None
    found = Labelled(name, split_of(node.get("subset", "")) or split_of(name.partition("/")[0]), size)
    for shape in node:
        if shape.tag in WITHOUT_BOX:
            shapes[shape.tag] += 1
            continue
        if shape.tag not in SHAPES:
            continue
        label, corners = shape.get("label", "").strip(), _corners(shape)
        if not label or corners is None or not all(map(math.isfinite, corners)):
            text = f"a {shape.tag} of {name[:80]} lacks its label or its numbers: {str(dict(shape.attrib))[:120]}"
            findings.append(Finding("error", "label-malformed", text, str(file)))
            continue
        found.names.append(label)
        found.corners.append(corners)
        found.written.append(f"{shape.tag} {label[:40]} {', '.join(f'{v:g}' for v in corners)} of {name[:80]}")
    return found


def _corners(shape: ET.Element) -> Corners | None:
    try:
        return SHAPES[shape.tag](shape)
    except (KeyError, TypeError, ValueError):
        return None


def _number(shape: ET.Element, key: str) -> float:
    return _plain(shape.attrib[key])


def _plain(text: str) -> float:
    value = parse_float(text)
    if value is None:
        raise ValueError(text)
    return value


def _box(shape: ET.Element) -> Corners:
    x1, y1, x2, y2 = (_number(shape, key) for key in ("xtl", "ytl", "xbr", "ybr"))
    return turned((x1, y1), (x2 - x1, y2 - y1), _plain(shape.get("rotation", "0")), ((x1 + x2) / 2, (y1 + y2) / 2))


def _polygon(shape: ET.Element) -> Corners:
    points = [tuple(map(_plain, pair.split(","))) for pair in shape.attrib["points"].split(";")]
    return around([(x, y) for x, y in points])


def _mask(shape: ET.Element) -> Corners:
    """CVAT's masks lie within a rectangle of whole pixels."""
    left, top = _number(shape, "left"), _number(shape, "top")
    return left, top, left + _number(shape, "width"), top + _number(shape, "height")


def _ellipse(shape: ET.Element) -> Corners:
    x, y, rx, ry = (_number(shape, key) for key in ("cx", "cy", "rx", "ry"))
    return turned((x - rx, y - ry), (2 * rx, 2 * ry), _plain(shape.get("rotation", "0")), (x, y))


SHAPES = {"box": _box, "polygon": _polygon, "mask": _mask, "ellipse": _ellipse}


def cvat_xml(images: Sequence[tuple[str, str, int, int, Any, Any]], names: Sequence[str]) -> str:
    """An annotations.xml that CVAT imports as `CVAT 1.1`.

    Args:
        images: (name, split, width, height, boxes [n, 4] x1 y1 x2 y2 px, classes [n]).
        names: of the classes.
    """
    labels = "".join(f"<label><name>{_text(name)}</name></label>" for name in names)
    meta = f"<meta><task><labels>{labels}</labels></task></meta>"
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<annotations>", "<version>1.1</version>", meta]
    for number, (name, split, width, height, boxes, classes) in enumerate(images):
        head = f'<image id="{number}" name={_attribute(name)} subset="{split}" width="{width}" height="{height}">'
        rows = [_box_xml(box, names[c]) for box, c in zip(boxes, classes, strict=True)]
        lines += [head, *rows, "</image>"]
    return "\n".join([*lines, "</annotations>", ""])


def _box_xml(box: Sequence[float], name: str) -> str:
    corners = zip(("xtl", "ytl", "xbr", "ybr"), map(float, box), strict=True)
    numbers = " ".join(f'{key}="{value!r}"' for key, value in corners)
    return f'<box label={_attribute(name)} source="manual" occluded="0" {numbers} z_order="0"></box>'


def _attribute(text: str) -> str:
    return quoteattr(text.translate(UNWRITABLE))


def _text(text: str) -> str:
    from xml.sax.saxutils import escape

    return escape(text.translate(UNWRITABLE))
