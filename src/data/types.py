"""What the modules of this room hand to each other: findings, and annotated images as a source describes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from src.common.errors import UserError

Boxes = NDArray[np.float64]  # [n, 4]
Classes = NDArray[np.int64]  # [n]
Areas = NDArray[np.float64]  # [n]
Level = Literal["error", "warning"]

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Finding:
    """Something the check has to say. An error stops the run, or costs the image with `data.on_error=skip`."""

    level: Level
    code: str  # stable word for the kind of finding, e.g. class-id
    message: str
    file: str = ""  # where: the label file, annotation file or image
    line: int = 0  # 1-based; 0 when there is none
    image: str = ""  # the image that skipping would leave out; "" when there is none
    split: str = ""  # where one picture is in several splits, the one that skipping would leave it out of

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " if self.line else f"{self.file}: " if self.file else ""
        return f"{where}{self.message}"


def no_boxes() -> Boxes:
    """An empty [0, 4] array."""
    return np.zeros((0, 4), dtype=np.float64)


def no_classes() -> Classes:
    """An empty [0] array."""
    return np.zeros(0, dtype=np.int64)


def no_areas() -> Areas:
    """An empty [0] array: no area was annotated."""
    return np.zeros(0, dtype=np.float64)


@dataclass
class RawItem:
    """An image with its annotations as the source has them, before its pixels were looked at.

    `boxes` are [n, 4] x centre, y centre, width, height: shares of the image's sides when `relative`, else pixels.
    """

    image: Path
    split: str  # train, val, test; "" when the source doesn't say
    relative: bool
    boxes: Boxes = field(default_factory=no_boxes)
    classes: Classes = field(default_factory=no_classes)
    lines: list[int] = field(default_factory=list)  # line of each box in `label_file`; 0 where there is none
    written: list[str] = field(default_factory=list)  # each box as its file has it, for messages; empty = not known
    polygons: list[tuple[int, int, int]] = field(default_factory=list)  # YOLO: line, columns, `columns.like_pose`
    label_file: str = ""  # "" when the image has no annotation at all
    areas: Areas = field(default_factory=no_areas)  # [n] px², NaN where none is given; [0] = none at all
    ignored: Boxes = field(default_factory=no_boxes)  # regions to ignore: COCO's crowds, VOC's difficult objects
    ignored_classes: Classes = field(default_factory=no_classes)
    difficult: bool = False  # the regions are single objects, not crowds
    name: str = ""  # preferred file name in the prepared folder; "" = the image's own
    stated_size: tuple[int, int] | None = None  # width, height that the annotation file claims


@dataclass
class RawDataset:
    """A dataset as read from its source."""

    class_names: list[str]
    items: list[RawItem]
    findings: list[Finding] = field(default_factory=list)
    category_ids: list[int] = field(default_factory=list)  # COCO ids by class id, to write them back unchanged
    origin: str = ""  # what the user named, for messages


class DataError(UserError):
    """The dataset has errors; `findings` holds all of them, the message the first few."""

    def __init__(self, what: str, findings: list[Finding], origin: str, remedy: str) -> None:
        super().__init__(what, value=origin, remedy=remedy)
        self.findings = findings


def raise_errors(findings: Iterable[Finding], origin: str, shown: int = 6) -> None:
    """Stop when there are errors, naming the first of them.

    Raises:
        DataError: at least one finding is an error.
    """
    findings = list(findings)
    errors = [f for f in findings if f.level == "error"]
    if not errors:
        return
    lines = [f"  {finding}" for finding in errors[:shown]]
    if len(errors) > shown:
        lines.append(f"  … and {len(errors) - shown} more")
    count = f"{len(errors)} error{'s' if len(errors) > 1 else ''}"
    remedy = "mend the files named, or leave those images out with data.on_error=skip"
    raise DataError(f"the dataset has {count}:\n" + "\n".join(lines), findings, origin, remedy)
