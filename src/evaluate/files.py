"""Saved detections and ground truth: the files that an evaluation in depth starts from.

Both are npz files with one row per box: `image_index`, `boxes` [n, 4], `classes`, and `scores` for detections. Ground
truth is kept beside the sweep, so that it can be evaluated again without the dataset; `image_groups` [images] says
which images belong together (one video, one site, near duplicates) and must be drawn together.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from src.errors import UserError
from src.evaluate.matching import Floats, Ints, Truth


@dataclass(frozen=True)
class Loaded:
    """Boxes of one image, as saved."""

    boxes: Floats
    classes: Ints
    scores: Floats


def truth_file(sweep: Path, fingerprint: str, split: str) -> Path:
    """Where the ground truth of a split is kept."""
    return sweep / "truths" / f"{fingerprint[:16]}-{split}.npz"


def save_truths(path: Path, truths: Sequence[Truth], groups: Sequence[int] | None = None) -> None:
    """Save ground truth and the group of each image (None: each its own); a file that exists is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp.npz")
    counts = [len(t.classes) for t in truths]
    boxes = [np.asarray(t.boxes, dtype=np.float64).reshape(-1, 4) for t in truths]
    try:
        np.savez_compressed(
            aside,
            images=np.int64(len(truths)),
            image_groups=np.arange(len(truths)) if groups is None else np.asarray(groups, dtype=np.int64),
            image_index=np.repeat(np.arange(len(truths)), counts),
            boxes=np.concatenate([*boxes, np.empty((0, 4))]),
            classes=np.concatenate([*(np.asarray(t.classes, dtype=np.int64) for t in truths), np.empty(0, np.int64)]),
        )
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def keep_truths(path: Path, truths: Sequence[Truth], groups: Sequence[int]) -> None:
    """Save ground truth where it isn't saved yet, or with other groups (`data.group` may change between runs).

    Raises:
        UserError: the file that is there is malformed.
    """
    if not path.is_file() or load_groups(path).tolist() != list(groups):
        save_truths(path, truths, groups)


def load_truths(path: Path) -> list[Loaded]:
    """Ground truth, one item per image.

    Raises:
        UserError: the file is missing or malformed.
    """
    saved = _read(path)
    return _split(path, saved, int(saved.get("images", np.int64(0))))


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
    return _split(path, _read(path), images)


def _read(path: Path, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as saved:
            return {name: saved[name] for name in saved.files if names is None or name in names}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path} can't be read ({error})", remedy="run the sweep's finalists again") from None


def _split(path: Path, saved: dict[str, np.ndarray], images: int) -> list[Loaded]:
    try:
        index, boxes, classes = saved["image_index"], saved["boxes"].reshape(-1, 4), saved["classes"]
    except (KeyError, ValueError) as error:
        raise UserError(f"{path} is malformed ({error})") from None
    scores = saved.get("scores", np.ones(len(classes)))
    if not len(index) == len(boxes) == len(classes) == len(scores) or (len(index) and index.max() >= images):
        raise UserError(f"{path} is malformed (its arrays don't fit together)")
    order = np.argsort(index, kind="stable")
    bounds = np.searchsorted(index[order], np.arange(images + 1))
    rows = (order[a:b] for a, b in pairwise(bounds))
    return [
        Loaded(boxes[r].astype(np.float64), classes[r].astype(np.int64), scores[r].astype(np.float64)) for r in rows
    ]
