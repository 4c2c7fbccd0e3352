"""YOLO label text: parse it strictly, write it exactly, and reduce it to a canonical form for fingerprints.

A line is `class x_centre y_centre width height`, shares of the image's sides; a line with a polygon after the class
becomes the polygon's bounding box, as Ultralytics does. Numbers are written with `repr`, so that a box survives
conversion to pixels and back within floating-point error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from src.data.columns import Shape, expected, kind_of, like_pose, why_not_yolo
from src.data.text_files import NotTextError, remedy, text_of
from src.data.types import Boxes, Classes

# Boxes are quantised to 1e-7 of the side before hashing, on a grid shifted by an irrational share, so that decimal and
# pixel fractions fall well inside a cell and the noise of a format conversion (1e-13) can't move them to the next one.
GRID = 1e7
SHIFT = 0.3819660112501051
MAX_CLASS = 1_000_000
WRITTEN = 120  # characters of a row that a message repeats


@dataclass(frozen=True)
class Problem:
    """A malformed line: its 1-based number, the kind of problem and what to say about it."""

    line: int
    code: str
    message: str


@dataclass(frozen=True)
class Labels:
    """The boxes of one label file: [n, 4] relative xywh around the centre, [n] classes, [n] line numbers."""

    boxes: Boxes
    classes: Classes
    lines: list[int]
    problems: list[Problem]
    written: list[str] = field(default_factory=list)  # each row as the file has it, shortened
    polygons: list[tuple[int, int, int]] = field(default_factory=list)  # line, columns, `columns.like_pose`


Box = tuple[float, float, float, float]


def parse_labels(data: bytes, shape: Shape | None = None) -> Labels:
    """Parse the bytes of a label file. Never raises: what can't be read becomes a `Problem`.

    Args:
        shape: the data.yaml's `kpt_shape`; rows of that many key points count by their box.
    """
    try:
        text = text_of(data)
    except NotTextError as error:
        problem = Problem(error.line, "label-malformed", f"{error.what}: {remedy(data)}")
        return Labels(np.zeros((0, 4)), np.zeros(0, np.int64), [], [problem])
    rows: list[Box] = []
    classes: list[int] = []
    found = Labels(np.zeros((0, 4)), np.zeros(0, np.int64), [], [])
    # Every end of line that Ultralytics knows: rows that a bare carriage return parts would make one polygon.
    for number, line in enumerate(text.splitlines(), start=1):
        tokens = line.split()
        if not tokens:
            continue
        parsed = _parse_line(tokens, shape)
        if isinstance(parsed, str):
            code = "box-non-finite" if "finite" in parsed else "label-malformed"
            found.problems.append(Problem(number, code, parsed))
            continue
        classes.append(parsed[0])
        rows.append(parsed[1])
        found.lines.append(number)
        found.written.append(line.strip() if len(line) <= WRITTEN else f"{line.strip()[:WRITTEN]} …")
        if parsed[2] is not None:
            found.polygons.append((number, len(tokens), parsed[2]))
    boxes = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return replace(found, boxes=boxes, classes=np.array(classes, dtype=np.int64))


def _parse_line(tokens: list[str], shape: Shape | None) -> tuple[int, Box, int | None] | str:
    """The class and box of one line (and `like_pose` of a polygon), or what is wrong with it."""
    kind = kind_of(len(tokens), shape)
    if len(tokens) != 5 or not tokens[0].isdigit():
        other = why_not_yolo(tokens)
        if other:
            return other
    if not kind:
        return expected(len(tokens), shape)
    values = []
    for token in tokens:
        value = parse_float(token)
        if value is None:
            return f"{_shorten(token)} is not a number{': write decimals with a point' if ',' in token else ''}"
        if not math.isfinite(value):
            return f"{_shorten(token)} is not a finite number"
        values.append(value)
    if values[0] != int(values[0]) or abs(values[0]) > MAX_CLASS:
        return f"class {_shorten(tokens[0])} is not a class id"
    if kind == "polygon":
        return int(values[0]), _bounds(values[1:]), like_pose(values)
    return int(values[0]), (values[1], values[2], values[3], values[4]), None


def parse_float(token: str) -> float | None:
    """A plain decimal number; Python's own extensions (`1_0`, other scripts' digits) are refused."""
    if not token.isascii() or "_" in token:
        return None
    try:
        return float(token)
    except ValueError:
        return None


def _shorten(token: str) -> str:
    return repr(token if len(token) <= 24 else token[:24] + "…")


def _bounds(points: list[float]) -> tuple[float, float, float, float]:
    xs, ys = points[::2], points[1::2]
    return (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2, max(xs) - min(xs), max(ys) - min(ys)


def format_labels(boxes: Boxes, classes: Classes) -> str:
    """Label text for relative centre boxes, a line each, exact to the last bit."""
    rows = zip(classes.tolist(), boxes.tolist(), strict=True)
    return "".join(f"{cls} {' '.join(map(repr, box))}\n" for cls, box in rows)


def canonical(boxes: Boxes, classes: Classes) -> bytes:
    """Order-free bytes that are equal for the same boxes, whichever format they came through."""
    if not len(classes):
        return b""
    table = np.column_stack([classes.astype(np.float64), np.floor(boxes * GRID + SHIFT)]).astype("<i8")
    return table[np.lexsort(table.T[::-1])].tobytes()


def to_corners(boxes: Boxes, width: float, height: float) -> Boxes:
    """Relative centre boxes [n, 4] to x1, y1, x2, y2 in pixels."""
    half = boxes[:, 2:] / 2
    return np.hstack([boxes[:, :2] - half, boxes[:, :2] + half]) * np.array([width, height, width, height], np.float64)
