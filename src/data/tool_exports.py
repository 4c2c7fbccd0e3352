"""What the native files of labelling tools have in common: pictures by names of other machines, and drawn shapes.

The readers of Label Studio and CVAT give a `Labelled` for each picture; here its picture is found, as for COCO's files,
and classes get their numbers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from src.common.errors import UserError
from src.data.coco_layout import IMAGE_FOLDERS, Source, locate, merge_same, none_found, unlisted
from src.data.folders import find, walk
from src.data.types import Finding, RawDataset, RawItem, raise_errors

Corners = tuple[float, float, float, float]  # x1, y1, x2, y2, px
Point = tuple[float, float]


@dataclass
class Labelled:
    """One picture as a tool's file has it."""

    name: str  # path or address of the picture
    split: str  # "" when nothing says
    size: tuple[int, int] | None  # width, height
    before: str = ""  # what the picture was called before the tool gave it a name of its own
    names: list[str] = field(default_factory=list)  # of the class of each object
    corners: list[Corners] = field(default_factory=list)
    written: list[str] = field(default_factory=list)  # each object as the file has it, for messages


def turned(corner: Point, size: Point, degrees: float, about: Point) -> Corners:
    """The upright box around a box that is turned clockwise.

    Args:
        corner: its upper left one before turning, px.
        size: width and height, px.
        degrees: of the turn.
        about: the point that stays.
    """
    (x, y), (w, h), (u, v) = corner, size, about
    if not degrees % 360:
        return x, y, x + w, y + h
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    points = [(a - u, b - v) for a in (x, x + w) for b in (y, y + h)]
    return around([(u + a * cos - b * sin, v + a * sin + b * cos) for a, b in points])


def around(points: Sequence[Point]) -> Corners:
    """The upright box around points."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


def dataset_of(
    file: Path, folder: Path, pictures: Iterable[Labelled], class_names: Sequence[str], findings: list[Finding]
) -> RawDataset:
    """A dataset of what a tool's file says, with the pictures that it means.

    Args:
        file: that it stands in, for messages.
        folder: of the dataset; pictures are looked for below it.
        pictures: as read.
        class_names: in their order; those of objects that are not among them come after, by name.
        findings: of reading.

    Raises:
        UserError: not one of the pictures is there.
    """
    pictures = list(pictures)
    known = dict.fromkeys(class_names)
    more = sorted({name for p in pictures for name in p.names} - set(known))
    names = [*known, *more]
    data = RawDataset(names, [], findings, origin=str(folder))
    roots = [root for name in IMAGE_FOLDERS if (root := find(folder / name)) is not None and root.is_dir()]
    source, number = Source(file, "", [*roots, folder]), {name: i for i, name in enumerate(names)}
    missing = []
    uploads = Counter(picture.before for picture in pictures)
    for picture in pictures:
        image, word = locate(picture.name, source)
        # Two uploads of one name can't be told apart by it.
        if image is None and picture.before and uploads[picture.before] == 1:
            image, word = locate(picture.before, source)
            word = word or f"{file.name} calls it {picture.name}, with what an upload puts before the name"
        if image is None:
            missing.append(picture.name)
        elif word:
            data.findings.append(Finding("warning", "image-other-name", word, str(image), image=str(image)))
        data.items.append(_item(picture, image or folder / picture.name, file, number))
    if missing and len(missing) == len(pictures):
        raise none_found(missing, source, folder)
    data.items = merge_same(data.items, data.findings)
    data.findings += unlisted(data.items, walk(folder))
    return data


def _item(picture: Labelled, image: Path, file: Path, number: dict[str, int]) -> RawItem:
    corners = np.array(picture.corners, np.float64).reshape(-1, 4)
    item = RawItem(image, picture.split, relative=False, label_file=str(file), stated_size=picture.size)
    item.boxes = np.hstack([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]])
    item.classes = np.array([number[name] for name in picture.names], np.int64)
    item.lines, item.written = [0] * len(picture.names), list(picture.written)
    return item


def refuse_boxless(pictures: Iterable[Labelled], findings: Sequence[Finding], what: str, remedy: str) -> None:
    """Stop where nothing was read as a box, with what was found instead.

    Raises:
        UserError: no picture has a box.
    """
    if any(picture.names for picture in pictures):
        return
    raise_errors(findings, what)
    told = "; ".join(finding.message for finding in findings)
    raise UserError(f"{what}{f' ({told})' if told else ''}", remedy=remedy)


def left_out(shapes: Counter[str], file: Path, remedy: str) -> list[Finding]:
    """A word on shapes that have no box: they are neither objects nor regions to ignore."""
    if not shapes:
        return []
    said = ", ".join(f"{count} {kind}" for kind, count in sorted(shapes.items()))
    return [Finding("warning", "shape-left-out", f"shapes without a box were left out: {said}; {remedy}", str(file))]
