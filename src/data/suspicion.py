"""What a box looks like that can't be right: shown as its file has it, with the mistake that would explain it."""

from __future__ import annotations

from src.data.scan import ImageFacts
from src.data.types import RawItem


def as_written(item: RawItem, at: int) -> str:
    """The box as its file has it: the row, or the annotation's id with its numbers."""
    if at < len(item.written):
        return item.written[at]
    return " ".join(f"{v:.6g}" for v in item.boxes[at])


def suspect(code: str, item: RawItem, at: int, fact: ImageFacts) -> str:
    """A clause on the likely cause of a box that reaches outside; "" when there is none."""
    if code not in ("box-out-of-range", "box-negative", "box-normalised"):
        return ""
    where = "" if item.relative else f" ({item.image.name}, {fact.width}x{fact.height} px)"
    return f"{where}{_cause(code, item, at, fact)}"


def _cause(code: str, item: RawItem, at: int, fact: ImageFacts) -> str:
    x, y, w, h = item.boxes[at].tolist()
    if code == "box-normalised":
        return f"; as shares it would be {w * fact.width:.0f}x{h * fact.height:.0f} px: multiply by the image's sides"
    if code == "box-negative":
        return "" if item.relative else "; its corners may be swapped"
    if item.relative:
        if max(x, y, w, h) > 2:
            return "; these seem to be pixels: YOLO wants shares of the image's sides, 0 to 1"
        # As corners, the row is x1 y1 x2 y2.
        return "; it would lie inside as x1 y1 x2 y2" if 0 <= x < w <= 1 and 0 <= y < h <= 1 else ""
    if not item.label_file.lower().endswith(".json"):
        return ""
    left, top = x - w / 2, y - h / 2
    inside = left < w <= fact.width and top < h <= fact.height and left >= 0 and top >= 0
    return "; it would lie inside as [x1, y1, x2, y2]: COCO wants [x, y, width, height]" if inside else ""
