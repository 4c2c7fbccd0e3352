"""Saved detections and ground truth: the files that an evaluation in depth starts from.

Both are npz files with one row per box: `image_index`, `boxes` [n, 4], `classes`, and `scores` for detections. Ground
truth also has `areas` [n], and one row per region to ignore: `ignored_index`, `ignored_boxes` [m, 4],
`ignored_classes` and `ignored_crowd`, and `image_groups` [images] says which images belong together (one video, one
site, near duplicates) and must be drawn together; files of earlier versions have none of these. It is kept beside the
sweep, so that it can be evaluated again without the dataset.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from src.common.errors import UserError
from src.common.whole_files import whole_file
from src.evaluate.tables import Bools, Floats, GroundTruth, Ints, areas_of, flatten_ground_truth, regions_of


@dataclass(frozen=True)
class Loaded:
    """Boxes of one image, as saved."""

    boxes: Floats
    classes: Ints
    scores: Floats


@dataclass(frozen=True)
class LoadedGroundTruth:
    """Objects and regions to ignore of one image, as saved."""

    boxes: Floats
    classes: Ints
    areas: Floats
    ignored: Floats
    ignored_classes: Ints
    ignored_crowd: Bools


def save_ground_truth(path: Path, ground_truths: Sequence[GroundTruth], groups: Sequence[int] | None = None) -> None:
    """Save ground truth and the group of each image (None: each its own); a file that exists is whole."""
    together = np.arange(len(ground_truths)) if groups is None else np.asarray(groups, dtype=np.int64)
    with whole_file(path) as aside, open(aside, "wb") as stream:
        np.savez_compressed(stream, image_groups=together, **_arrays(ground_truths))  # type: ignore[arg-type]


def holds_ground_truth(path: Path, ground_truths: Sequence[GroundTruth]) -> bool:
    """Whether the file is there and says the same; one of an earlier version lacks areas and regions to ignore."""
    if not path.is_file():
        return False
    try:
        saved = _read(path)
    except UserError:
        return False
    own = _arrays(ground_truths)
    return saved.keys() >= own.keys() and all(np.array_equal(saved[name], own[name]) for name in own)


def _arrays(ground_truths: Sequence[GroundTruth]) -> dict[str, np.ndarray]:
    classes = 1 + max(
        (int(np.max(c, initial=-1)) for t in ground_truths for c in (t.classes, regions_of(t)[1])), default=0
    )
    objects, regions = flatten_ground_truth(ground_truths, classes)
    return {
        "images": np.asarray(len(ground_truths), dtype=np.int64),
        "image_index": objects.images,
        "boxes": objects.boxes,
        "classes": objects.classes,
        "areas": objects.areas,
        "ignored_index": regions.images,
        "ignored_boxes": regions.boxes,
        "ignored_classes": regions.classes,
        "ignored_crowd": regions.crowd,
    }


def keep_ground_truth(path: Path, ground_truths: Sequence[GroundTruth], groups: Sequence[int]) -> None:
    """Save ground truth unless the file says the same already; `data.group` may change between runs."""
    if not holds_ground_truth(path, ground_truths) or load_groups(path).tolist() != list(groups):
        save_ground_truth(path, ground_truths, groups)


def load_ground_truth(path: Path) -> list[LoadedGroundTruth]:
    """Ground truth, one item per image.

    Raises:
        UserError: the file is missing or malformed.
    """
    saved = _read(path)
    try:
        images = int(saved.get("images", np.int64(0)))
        saved.setdefault("areas", areas_of(saved["boxes"].reshape(-1, 4).astype(np.float64)))
        saved = {**_arrays([]), **saved}
        objects = _rows(saved, "image_index", {"boxes": np.float64, "classes": np.int64, "areas": np.float64}, images)
        names = {"ignored_boxes": np.float64, "ignored_classes": np.int64, "ignored_crowd": np.bool_}
        regions = _rows(saved, "ignored_index", names, images)
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path} is malformed ({error})") from None
    return [LoadedGroundTruth(*own, *ignored) for own, ignored in zip(objects, regions, strict=True)]


def load_groups(path: Path) -> Ints:
    """The group of each image [n_images] of saved ground truth; files from before groups have one for each.

    Raises:
        UserError: the file is missing or malformed.
    """
    saved = _read(path, ("images", "image_groups"))
    images = int(saved.get("images", np.int64(0)))
    groups = saved.get("image_groups", np.arange(images))
    if groups.shape != (images,):
        raise UserError(f"{path} is malformed (its arrays don't fit together)")
    return groups.astype(np.int64)


def load_detections(path: Path, images: int) -> list[Loaded]:
    """Detections, one item per image.

    Raises:
        UserError: the file is missing or malformed.
    """
    saved = _read(path, ("image_index", "boxes", "scores", "classes"))
    try:
        saved.setdefault("scores", np.ones(len(saved["classes"])))
        rows = _rows(saved, "image_index", {"boxes": np.float64, "classes": np.int64, "scores": np.float64}, images)
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path} is malformed ({error})") from None
    return [Loaded(*row) for row in rows]


def _read(path: Path, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as saved:
            return {name: saved[name] for name in saved.files if names is None or name in names}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path} can't be read ({error})", remedy="run the sweep's finalists again") from None


def _rows(saved: dict[str, np.ndarray], by: str, names: dict[str, Any], images: int) -> list[list[Any]]:
    """The arrays `names` (to their types), cut into images by the index called `by`.

    Raises:
        KeyError, ValueError: an array is missing, or they don't fit together.
    """
    index = saved[by]
    columns = [saved[name].astype(kind) for name, kind in names.items()]
    columns = [c.reshape(-1, 4) if name.endswith("boxes") else c for name, c in zip(names, columns, strict=True)]
    if any(len(column) != len(index) for column in columns) or (len(index) and index.max() >= images):
        raise ValueError("its arrays don't fit together")
    order = np.argsort(index, kind="stable")
    bounds = np.searchsorted(index[order], np.arange(images + 1))
    return [[column[order[a:b]] for column in columns] for a, b in pairwise(bounds)]
