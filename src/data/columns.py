"""What the columns of a label row mean: box, polygon, oriented box or pose, by declaration and never by a guess.

`kpt_shape: [K, d]` in a data.yaml declares pose rows of 5 + K * d columns, of which the box counts. Without it, an odd
number of columns from 7 on is a polygon (an oriented box is one of four points), whose bounding box counts. A row that
another program wrote for another purpose is named by its layout.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from src.common.errors import UserError
from src.data.types import Finding

Shape = tuple[int, int]  # key points, numbers each (2, or 3 with visibility)

BOX = 5
MAX_POINTS = 10_000
DOTA = "DOTA's layout (x1 y1 x2 y2 x3 y3 x4 y4 name difficult, in pixels)"
REMEDY = {
    "dota": f"{DOTA}, not YOLO's: convert it, e.g. with ultralytics.data.converter.convert_dota_to_yolo_obb",
    "kitti": "KITTI's layout (name, truncation, occlusion, angle, x1 y1 x2 y2 in pixels, …), not YOLO's: "
    "convert it (pip install 'datumaro[cli]'; "
    "datum convert -if kitti_detection -i DIR -f coco_instances -o NEW -- --save-media)",
    "commas": "columns are parted by commas: YOLO wants `class x y w h` parted by spaces, as shares of the sides",
}


def read_shape(value: object, file: Path) -> Shape | None:
    """The `kpt_shape` of a data.yaml; None when there is none.

    Raises:
        UserError: not two whole numbers, the second 2 or 3.
    """
    if value is None:
        return None
    whole = isinstance(value, list) and len(value) == 2 and all(type(v) is int for v in value)
    if not whole or value[1] not in (2, 3) or not 0 < value[0] <= MAX_POINTS:  # type: ignore[index]
        raise UserError(
            f"{file}: `kpt_shape` must be [number of key points, 2 or 3]",
            value=str(value)[:80],
            remedy="kpt_shape: [17, 3], or leave it out where rows hold no key points",
        )
    return value[0], value[1]  # type: ignore[index]


def kind_of(count: int, shape: Shape | None) -> str:
    """`box`, `pose` or `polygon` for a row of so many columns; "" when it is none of what is declared."""
    if count == BOX:
        return "box"
    if shape:
        return "pose" if count == BOX + shape[0] * shape[1] else ""
    return "polygon" if count >= 7 and count % 2 else ""


def expected(count: int, shape: Shape | None) -> str:
    """What a row of a wrong width should have been."""
    if shape:
        points, numbers = shape
        wide = BOX + points * numbers
        return f"expected {wide} columns (a box and kpt_shape [{points}, {numbers}]) or 5 (a box), found {count}"
    text = f"expected `class x y w h` (5 columns) or a polygon (7, 9, 11, …), found {count}"
    if count == 6:
        return f"{text}: the sixth may be a confidence, as saved predictions have it, or an angle"
    if count > 6 and (count - BOX) % 3 == 0:
        return f"{text}: that fits key points; declare `kpt_shape: [{(count - BOX) // 3}, 3]` in data.yaml"
    return text


def why_not_yolo(tokens: Sequence[str]) -> str:
    """The layout of another program that a row is written in; "" when it is none of those known."""
    numbers = [_is_number(token) for token in tokens]
    if len(tokens) in (9, 10) and all(numbers[:8]) and not numbers[8]:
        return REMEDY["dota"]
    if tokens[0].lower().startswith(("imagesource:", "gsd:")):
        return REMEDY["dota"]
    if len(tokens) in (15, 16) and not numbers[0] and all(numbers[1:]):
        return REMEDY["kitti"]
    if any("," in token or ";" in token for token in tokens) and len(tokens) < BOX:
        return REMEDY["commas"]
    if len(tokens) == BOX and not numbers[0] and all(numbers[1:]) and not tokens[0][0].isdigit():
        return f"{tokens[0][:24]!r} is not a number: a row begins with the number of its class in `names`"
    return ""


def _is_number(token: str) -> bool:
    try:
        return math.isfinite(float(token))
    except ValueError:
        return False


def like_pose(values: Sequence[float]) -> int:
    """How many numbers a key point would have if a polygon row were a pose row: 3, 2, or 0 when it can't be one.

    With 3, every third number after the box is a visibility (0, 1 or 2); with 2, all points lie in the box.
    """
    rest = values[BOX:]
    x, y, w, h = values[1:5]
    inside = 0 < w <= 1 and 0 < h <= 1 and x - w / 2 >= -0.01 and x + w / 2 <= 1.01
    if not (inside and y - h / 2 >= -0.01 and y + h / 2 <= 1.01):
        return 0
    if len(rest) % 3 == 0 and all(v in (0.0, 1.0, 2.0) for v in rest[2::3]):
        return 3
    pairs = list(zip(rest[::2], rest[1::2], strict=True))
    in_box = [abs(a - x) <= w / 2 + 1e-6 and abs(b - y) <= h / 2 + 1e-6 for a, b in pairs if (a, b) != (0, 0)]
    return 2 if in_box and all(in_box) else 0


def ambiguous(rows: Sequence[tuple[str, int, int, int, str]]) -> list[Finding]:
    """A word on polygon rows that would all be pose rows too.

    Args:
        rows: label file, line, columns, `like_pose`, image of each polygon row of a dataset.

    Returns:
        Errors where each row holds visibilities at every third place: as polygons they would be boxes that nobody drew.
        One warning where the points of each row lie in a box that its first four numbers would be.
    """
    kinds = {kind for _, _, _, kind, _ in rows}
    widths = {count for _, _, count, _, _ in rows}
    if not rows or 0 in kinds or len(widths) != 1:
        return []
    count = widths.pop()
    if kinds == {3}:
        text = (
            f"{count} columns with 0, 1 or 2 at every third place: these are key points, not a polygon; "
            f"declare `kpt_shape: [{(count - BOX) // 3}, 3]` in data.yaml"
        )
        return [Finding("error", "columns-ambiguous", text, file, line, image) for file, line, _, _, image in rows]
    if (count - BOX) % 2 or len(rows) < 2:
        return []
    text = (
        f"{len(rows)} rows of {count} columns were read as polygons; they would be pose rows too: "
        f"if they are, declare `kpt_shape: [{(count - BOX) // 2}, 2]` in data.yaml"
    )
    return [Finding("warning", "columns-ambiguous", text, rows[0][0], rows[0][1])]
