"""The folds of a cross-validation, a dataset each: every image is in val once, judged by networks that never saw it.

Groups of images that look the same stay together, and classes are shared evenly, as in a seeded split. A test split
takes no part. A sweep over the folds (`-m data.path=DIR/fold1/data.yaml,…`) gives out-of-fold detections of all images,
which `python -m src.evaluate suspects=50` looks through for label errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from src.common.errors import UserError
from src.data.check import Checked
from src.data.splits import stratify

MOST = 20


def divided(checked: Sequence[Checked], folds: int, seed: int, origin: str) -> list[list[Checked]]:
    """The images of each fold, with `train` and `val` as splits.

    Args:
        checked: all images; those of test are left out.
        folds: how many.
        seed: of the division.
        origin: of the dataset, for messages.

    Raises:
        UserError: the number makes no sense, or there are too few images for it.
    """
    if not 2 <= folds <= MOST:
        raise UserError(f"folds must be 2 to {MOST}", value=folds, remedy="folds=5")
    groups: dict[int, list[Checked]] = {}
    for c in checked:
        if c.split != "test":
            groups.setdefault(c.group, []).append(c)
    own = list(groups.values())
    if len(own) < folds:
        raise UserError(f"{origin}: {len(own)} different images are too few", value=f"folds={folds}", remedy="folds=2")
    names = [min(str(c.item.image) for c in group) for group in own]
    classes = [{int(k) for c in group for k in c.classes} for group in own]
    parts = stratify(names, classes, [1 / folds] * folds, seed)
    return [
        [
            replace(c, split="val" if part == fold else "train")
            for part, group in zip(parts, own, strict=True)
            for c in group
        ]
        for fold in range(folds)
    ]


def folder_of(out: Path, fold: int) -> Path:
    """The folder of a fold, from 0; they are counted from 1."""
    return out / f"fold{fold + 1}"
