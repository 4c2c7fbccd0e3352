"""What a prepared folder keeps beside labels, for evaluation alone: annotated areas, and the kind of regions to ignore.

Few sets have either, so both stand apart from the labels, in one file a split: `areas/<split>.json` maps the name of
an image to the area of each label, px², null where none was annotated. The index has the hashes of these files
(`areas`) and the names of images whose regions are single difficult objects (`difficult`), and neither key where
there is nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from src.common.errors import UserError
from src.common.whole_files import write_text
from src.data.types import SPLITS, Areas


class Image(Protocol):
    """What is read here of an image on its way into the layout."""

    @property
    def split(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def areas(self) -> Areas: ...
    @property
    def difficult(self) -> bool: ...


def index_of(images: Sequence[Image]) -> dict[str, Any]:
    """The keys that the index gets; {} for most sets. They also tell prepared folders of equal labels apart."""
    areas = {split: _digest(text.encode()) for split, text in _texts(images).items()}
    difficult = {split: sorted(i.name for i in images if i.split == split and i.difficult) for split in SPLITS}
    kept = {"areas": areas, "difficult": {split: names for split, names in difficult.items() if names}}
    return {key: value for key, value in kept.items() if value}


def write_areas(base: Path, images: Sequence[Image]) -> None:
    """Write the files of areas into a folder that is being made."""
    for split, text in _texts(images).items():
        (base / "areas").mkdir(exist_ok=True)
        write_text(base / "areas" / f"{split}.json", text)


def _texts(images: Sequence[Image]) -> dict[str, str]:
    rows: dict[str, dict[str, list[float | None]]] = {}
    for image in sorted(images, key=lambda i: i.name):
        if np.isfinite(image.areas).any():
            own = [area if np.isfinite(area) else None for area in image.areas.tolist()]
            rows.setdefault(image.split, {})[image.name] = own
    return {split: json.dumps(own) for split, own in rows.items()}


def areas_hold(base: Path, index: Mapping[str, Any]) -> bool:
    """Whether the files of areas are those that the index names.

    Raises:
        OSError: one can't be read.
    """
    known = index.get("areas", {}).items()
    return all(_digest((base / "areas" / f"{split}.json").read_bytes()) == digest for split, digest in known)


def read_areas(base: Path, index: Mapping[str, Any], split: str) -> dict[str, Areas]:
    """Annotated areas by name of image, NaN where there is none; images without any are left out.

    Raises:
        UserError: the file is gone or damaged.
    """
    if split not in index.get("areas", {}):
        return {}
    file = base / "areas" / f"{split}.json"
    try:
        data = file.read_bytes()
        if _digest(data) != index["areas"][split]:
            raise ValueError("it was changed")
        return {name: np.array(own, dtype=np.float64) for name, own in json.loads(data).items()}
    except (OSError, ValueError) as error:
        raise UserError(
            f"{file}: a prepared file of areas can't be read ({error})",
            remedy="delete the dataset's folder under outputs",
        ) from None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
