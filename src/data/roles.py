"""The four roles of images: train, calibration (for INT8, a part of train), val (to select) and test (finalists only).

Splits that the source has are kept as they are. Missing ones come from a seeded, class-stratified split in which
images that look the same stay together, so that the split itself can't leak.
"""

from __future__ import annotations

from collections.abc import Sequence

from src.common.errors import UserError
from src.data.check import Checked, with_split
from src.data.splits import stratify, take
from src.data.types import SPLITS, Finding


def assign_splits(
    checked: Sequence[Checked], val_share: float, test_share: float, seed: int, origin: str
) -> tuple[list[Checked], list[Finding]]:
    """Give every image a split.

    Without any split, or with train alone, all images are split in three. With train and test, val is taken from train.
    With train and val, there is no test split: the report says so, since val was used to select.

    Raises:
        UserError: no image for train, or too few images to split.
    """
    found = {c.split for c in checked}
    if found <= {"", "train"}:
        shares = {"train": 1 - val_share - test_share, "val": val_share, "test": test_share}
        text = "the source has no splits: a seeded, class-stratified split was made"
        return _divide(checked, shares, seed, origin), [Finding("warning", "split-made", text, origin)]
    if "train" not in found:
        raise UserError(f"{origin}: the dataset has no train images", value=", ".join(sorted(found)))
    if "val" not in found:
        rest = [c for c in checked if c.split != "train"]
        train = [c for c in checked if c.split == "train"]
        text = "the source has no val split: a seeded, class-stratified part of train was taken"
        parts = _divide(train, {"train": 1 - val_share, "val": val_share}, seed, origin)
        return parts + rest, [Finding("warning", "split-made", text, origin)]
    if "test" not in found:
        text = "the source has no test split: final numbers come from val, which also selected, and are optimistic"
        return list(checked), [Finding("warning", "split-no-test", text, origin)]
    return list(checked), []


def _divide(checked: Sequence[Checked], shares: dict[str, float], seed: int, origin: str) -> list[Checked]:
    """Split groups of equal-looking images by their shares."""
    groups: dict[int, list[Checked]] = {}
    for c in checked:
        groups.setdefault(c.group, []).append(c)
    own = list(groups.values())
    if len(own) < len(shares):
        raise UserError(
            f"{origin}: {len(own)} different images are too few to split", remedy="give train, val and test images"
        )
    names = [min(_name(c) for c in group) for group in own]
    classes = [{int(k) for c in group for k in c.classes} for group in own]
    parts = stratify(names, classes, list(shares.values()), seed)
    splits = list(shares)
    return [with_split(c, splits[part]) for group, part in zip(own, parts, strict=True) for c in group]


def _name(c: Checked) -> str:
    """What orders images before shuffling: their content, so that folders and formats don't matter."""
    return c.facts.sha256 + c.item.image.name


def take_fraction(checked: Sequence[Checked], fraction: float, seed: int) -> list[Checked]:
    """A stratified part of every split, at least one image of each."""
    if fraction >= 1:
        return list(checked)
    kept = []
    for split in SPLITS:
        own = [c for c in checked if c.split == split]
        count = max(1, round(len(own) * fraction)) if own else 0
        kept += [own[i] for i in _take(own, count, seed)]
    return kept


def calibration_names(checked: Sequence[Checked], names: Sequence[str], count: int, seed: int) -> list[str]:
    """Names of a stratified part of train, for INT8 calibration."""
    train = [(c, name) for c, name in zip(checked, names, strict=True) if c.split == "train"]
    return sorted(train[i][1] for i in _take([c for c, _ in train], count, seed))


def _take(own: Sequence[Checked], count: int, seed: int) -> list[int]:
    return take([_name(c) for c in own], [{int(k) for k in c.classes} for c in own], count, seed)
