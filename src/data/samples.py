"""Read a prepared folder back: the images of one split with their ground truth, as evaluation wants it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from src.common.errors import UserError
from src.data import Sample
from src.data.labels import parse_labels, to_corners
from src.data.layout import load_index
from src.data.region_sidecars import read_areas
from src.data.types import Areas, Boxes, Classes, no_boxes, no_classes


def read_split(base: Path, split: str) -> list[Sample]:
    """The samples of one split, sorted by name; `calibration` is the part of train kept for INT8.

    Raises:
        UserError: an unknown split, or a damaged folder.
    """
    index = load_index(base)
    chosen = set(index["calibration"]) if split == "calibration" else None
    folder = "train" if split == "calibration" else split
    if folder not in index["splits"]:
        raise UserError("this split does not exist", value=split, remedy="train, calibration, val or test")
    rows = [row for row in index["splits"][folder] if chosen is None or row[0] in chosen]
    areas, difficult = read_areas(base, index, folder), set(index.get("difficult", {}).get(folder, []))
    return [_sample(base, folder, row, areas.get(row[0]), row[0] not in difficult) for row in sorted(rows)]


def _sample(base: Path, split: str, row: Sequence[Any], annotated: Areas | None, crowd: bool) -> Sample:
    name, width, height = str(row[0]), int(row[1]), int(row[2])
    boxes, classes = _read_boxes(base / "labels" / split / f"{Path(name).stem}.txt", required=True)
    ignored, ignored_classes = _read_boxes(base / "ignored" / split / f"{Path(name).stem}.txt", required=False)
    corners = to_corners(boxes, width, height)
    areas = np.prod(corners[:, 2:] - corners[:, :2], axis=1)
    return Sample(
        image=str(base / "images" / split / name),
        boxes=corners,
        classes=classes,
        width=width,
        height=height,
        areas=areas if annotated is None else np.where(np.isnan(annotated), areas, annotated),
        ignored=to_corners(ignored, width, height),
        ignored_classes=ignored_classes,
        ignored_crowd=np.full(len(ignored_classes), crowd),
    )


def _read_boxes(file: Path, *, required: bool) -> tuple[Boxes, Classes]:
    try:
        labels = parse_labels(file.read_bytes())
    except OSError as error:
        if not required:
            return no_boxes(), no_classes()
        raise UserError(
            f"{file}: a prepared label file is gone ({error.strerror})",
            remedy="delete the dataset's folder under outputs",
        ) from None
    return labels.boxes, labels.classes
