"""The bounding box of a COCO segmentation, for annotations that have no `bbox`: polygons and run-length masks."""

from __future__ import annotations

import math
from typing import Any

MAX_PIXELS = 1 << 28

Bounds = list[float]  # x, y, width, height, px


def bounds(segmentation: Any) -> Bounds | None:
    """The box [x, y, width, height] around all polygons, or around the pixels of a mask; None when it has none."""
    if isinstance(segmentation, list) and segmentation:
        return _of_polygons(segmentation)
    if isinstance(segmentation, dict):
        return _of_mask(segmentation)
    return None


def _of_polygons(polygons: list[Any]) -> Bounds | None:
    if all(_is_number(v) for v in polygons):  # one polygon that isn't in a list of its own
        polygons = [polygons]
    xs: list[float] = []
    ys: list[float] = []
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            return None
        if not all(_is_number(v) for v in polygon):
            return None
        xs += polygon[::2]
        ys += polygon[1::2]
    return [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9 and math.isfinite(value)


def _of_mask(mask: dict[str, Any]) -> Bounds | None:
    """Runs go down the columns, first of background (pycocotools, `maskApi.c`)."""
    size, counts = mask.get("size"), mask.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not all(type(v) is int and v > 0 for v in size):
        return None
    height, width = size
    runs = _unpacked(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(type(v) is int and v >= 0 for v in runs) or height * width > MAX_PIXELS:
        return None
    if sum(runs) > height * width:
        return None
    left, right, top, bottom, at = width, -1, height, -1, 0
    for number, run in enumerate(runs):
        if number % 2 and run:
            first, last = divmod(at, height), divmod(at + run - 1, height)
            left, right = min(left, first[0]), max(right, last[0])
            whole = last[0] > first[0]  # a run over the end of a column touches both edges
            top = 0 if whole else min(top, first[1])
            bottom = height - 1 if whole else max(bottom, last[1])
        at += run
    return None if right < 0 else [float(left), float(top), float(right - left + 1), float(bottom - top + 1)]


def _unpacked(text: str) -> list[int]:
    """Counts from COCO's text form: groups of five bits, least first, each run from the third on a difference."""
    runs: list[int] = []
    at = 0
    while at < len(text):
        value, shift, more = 0, 0, True
        while more and at < len(text):
            bits = ord(text[at]) - 48
            value |= (bits & 0x1F) << shift
            more = bool(bits & 0x20)
            shift += 5
            at += 1
            if not more and bits & 0x10:
                value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
    return runs
