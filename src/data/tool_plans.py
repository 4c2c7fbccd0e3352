"""What each tool makes of a dataset: which images the new folder holds, and what happened to those that changed.

Nothing is written here: `src.data.tools` shows a plan, or writes the folder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from src.common.errors import UserError
from src.config.schema import DataConfig
from src.data.augment import MARK, check_strengths
from src.data.check import KEEP_ORDER, Checked
from src.data.layout import Ready
from src.data.naming import unique_names
from src.data.prepare import ready
from src.data.roles import assign_splits
from src.data.types import RawDataset
from src.data.writers import scaled


@dataclass(frozen=True)
class Options:
    """What the tools are told."""

    out: str | None = None
    to: str = "yolo"
    dry_run: bool = False
    link: bool = False
    near: bool = True  # dedupe: near duplicates too, not just equal bytes
    threshold: float = 0.1  # balance: repeat images of classes that fewer than this share of train images hold
    side: int = 640  # resize: longest side, px
    copies: int = 1  # augment: changed copies of every train image
    strengths: tuple[tuple[str, float], ...] = ()  # augment: keys of src.common.box_safe and how strong each is


@dataclass(frozen=True)
class ToolPlan:
    """The images that the new folder will hold, and what happened to those that changed."""

    images: list[Ready]
    actions: list[dict[str, str]]


def ready_images(checked: Sequence[Checked]) -> list[Ready]:
    """Images on their way into a folder, each under a name of its own."""
    return [ready(c, name) for c, name in zip(checked, unique_names(checked), strict=True)]


def _convert(checked: Sequence[Checked], cfg: DataConfig, options: Options, data: RawDataset) -> ToolPlan:
    """The same images and boxes; splits are made where the source has none."""
    split, _ = assign_splits(checked, cfg.val_share, cfg.test_share, cfg.seed, data.origin)
    return ToolPlan(ready_images(split), [])


def _split(checked: Sequence[Checked], cfg: DataConfig, options: Options, data: RawDataset) -> ToolPlan:
    """New seeded, stratified splits, whatever splits the source has."""
    loose = [replace(c, split="") for c in checked]
    made, _ = assign_splits(loose, cfg.val_share, cfg.test_share, cfg.seed, data.origin)
    was = {id(c.item): c.split for c in checked}
    actions = [
        {"action": "move", "image": str(c.item.image), "detail": f"{was[id(c.item)] or 'no split'} -> {c.split}"}
        for c in made
    ]
    return ToolPlan(ready_images(made), actions)


def _dedupe(checked: Sequence[Checked], cfg: DataConfig, options: Options, data: RawDataset) -> ToolPlan:
    """One image of each group of duplicates stays: that of test before val before train, so evaluation is unchanged."""
    order = sorted(checked, key=lambda c: (-KEEP_ORDER.get(c.split, 0), str(c.item.image)))
    first: dict[str, Checked] = {}
    dropped: dict[int, dict[str, str]] = {}
    for c in order:
        key = str(c.group) if options.near else c.facts.sha256
        if key in first:
            detail = f"same as {first[key].item.image} ({first[key].split or 'no split'})"
            dropped[id(c.item)] = {"action": "drop", "image": str(c.item.image), "detail": detail}
        else:
            first[key] = c
    kept = [c for c in checked if id(c.item) not in dropped]
    made, _ = assign_splits(kept, cfg.val_share, cfg.test_share, cfg.seed, data.origin)
    return ToolPlan(ready_images(made), list(dropped.values()))


def _balance(checked: Sequence[Checked], cfg: DataConfig, options: Options, data: RawDataset) -> ToolPlan:
    """Repeat train images of rare classes (repeat-factor sampling: Gupta, Dollár, Girshick 2019, section 3).

    A class held by a share f of the images gets the factor max(1, sqrt(threshold / f)), an image the largest factor of
    its classes; the fraction of a factor is drawn with the seed.
    """
    if not 0 < options.threshold <= 1:
        raise UserError("threshold must be above 0 and at most 1", value=options.threshold, remedy="threshold=0.1")
    made, _ = assign_splits(checked, cfg.val_share, cfg.test_share, cfg.seed, data.origin)
    factors = repeat_factors([{int(k) for k in c.classes} for c in made if c.split == "train"], options.threshold)
    rng = np.random.Generator(np.random.PCG64(cfg.seed))
    images, actions = [], []
    train = iter(factors)
    for image in sorted(ready_images(made), key=lambda i: (i.split != "train", 0)):
        images.append(image)
        if image.split != "train":
            continue
        factor = next(train)
        repeats = int(factor) - 1 + int(rng.random() < factor - int(factor))
        for number in range(1, repeats + 1):
            path = Path(image.name)
            images.append(replace(image, name=f"{path.stem}-repeat{number}{path.suffix}"))
        if repeats:
            detail = f"{repeats} more, for a class that few images hold"
            actions.append({"action": "repeat", "image": str(image.source), "detail": detail})
    return ToolPlan(images, actions)


def repeat_factors(classes: Sequence[set[int]], threshold: float) -> list[float]:
    """How often each image should appear, at least once."""
    held: dict[int, int] = {}
    for own in classes:
        for label in own:
            held[label] = held.get(label, 0) + 1
    factor = {label: max(1.0, math.sqrt(threshold * len(classes) / count)) for label, count in held.items()}
    return [max((factor[label] for label in own), default=1.0) for own in classes]


def _resize(checked: Sequence[Checked], cfg: DataConfig, options: Options, data: RawDataset) -> ToolPlan:
    """Shrink large images; boxes are shares of the sides and stay."""
    if options.side < 32:
        raise UserError("side must be at least 32 px", value=options.side, remedy="side=640")
    made, _ = assign_splits(checked, cfg.val_share, cfg.test_share, cfg.seed, data.origin)
    images = ready_images(made)
    actions = []
    for image in images:
        size = scaled(image.width, image.height, options.side)
        if size != (image.width, image.height):
            detail = f"{image.width}x{image.height} -> {size[0]}x{size[1]} px"
            actions.append({"action": "resize", "image": str(image.source), "detail": detail})
    return ToolPlan(images, actions)


def bits_of(checked: Sequence[Checked]) -> int:
    """The bits that the 16-bit images of a dataset use: one number for all, so that a dark one stays darker."""
    return max((c.facts.peak for c in checked), default=0).bit_length()


def _stretch(checked: Sequence[Checked], cfg: DataConfig, options: Options, data: RawDataset) -> ToolPlan:
    """8-bit copies of 16-bit images over the whole range; others stay as they are."""
    made, _ = assign_splits(checked, cfg.val_share, cfg.test_share, cfg.seed, data.origin)
    images = ready_images(made)
    detail = f"{bits_of(checked)} bits -> 8"
    actions = [
        {"action": "stretch", "image": str(c.item.image), "detail": f"{detail} (up to {c.facts.peak})"}
        for c in made
        if c.facts.peak
    ]
    named = [
        replace(image, name=f"{Path(image.name).stem}.png") if c.facts.peak else image
        for image, c in zip(images, made, strict=True)
    ]
    return ToolPlan(named, actions)


def _augment(checked: Sequence[Checked], cfg: DataConfig, options: Options, data: RawDataset) -> ToolPlan:
    """Changed copies of train images beside the images themselves; val and test stay as they are."""
    if not 1 <= options.copies <= 100:
        raise UserError("copies must be 1 to 100", value=options.copies, remedy="copies=1")
    check_strengths(dict(options.strengths))
    made, _ = assign_splits(checked, cfg.val_share, cfg.test_share, cfg.seed, data.origin)
    images, actions = [], []
    for image in ready_images(made):
        images.append(image)
        if image.split != "train":
            continue
        if len(image.ignored):
            actions.append({"action": "keep", "image": str(image.source), "detail": "regions to ignore: no copy"})
            continue
        stem = Path(image.name).stem
        names = [f"{stem}{MARK}{number}.png" for number in range(1, options.copies + 1)]
        images += [replace(image, name=name, copy=True) for name in names]
        actions.append({"action": "augment", "image": str(image.source), "detail": f"{options.copies} changed copies"})
    return ToolPlan(images, actions)


PLANNERS: dict[str, Callable[[Sequence[Checked], DataConfig, Options, RawDataset], ToolPlan]] = {
    "convert": _convert,
    "split": _split,
    "dedupe": _dedupe,
    "balance": _balance,
    "resize": _resize,
    "stretch": _stretch,
    "augment": _augment,
}
