"""Repair and preparation: convert, split, de-duplicate, balance, resize and stretch a dataset into a new folder.

Each tool plans first: it says for every image it drops, moves, repeats or shrinks what it would do. A dry run prints
that plan and writes nothing; a real run keeps the plan in the new folder's manifest. Sources stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from src.common.errors import UserError
from src.config.schema import DataConfig
from src.data.augment import MARK, augment_with, check_strengths
from src.data.check import KEEP_ORDER, Checked, check_dataset
from src.data.fingerprint import fingerprint
from src.data.folds import divided, folder_of
from src.data.layout import Ready
from src.data.naming import unique_names
from src.data.prepare import ready
from src.data.roles import assign_splits
from src.data.scan import Scanner
from src.data.sources import MADE, check_kind, read_source
from src.data.types import Finding, RawDataset
from src.data.writers import (
    KEEP_REGIONS,
    Output,
    Pixels,
    check_target,
    copy_pixels,
    link_pixels,
    refuse_inside,
    scaled,
    shrink_to,
    stretch_from,
    write_dataset,
)

LOOKED_THROUGH = ("coco", "voc", "cvat", "label_studio")  # kinds whose folder is searched, not described
LEAKS = frozenset({"duplicate-across-splits"})
# Errors that a tool is there to mend.
MENDED = {"dedupe": LEAKS, "split": LEAKS, "stretch": frozenset({"bit-depth"})}


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


def run_tool(command: str, cfg: DataConfig, options: Options, root: Path) -> dict[str, Any]:
    """Run one tool and return its manifest (with `dry_run`, that of what would be done).

    Raises:
        UserError: the data or an option is wrong, or `out` exists.
    """
    out = _out(options)
    data, checked, findings, before = _checked(cfg, root, MENDED.get(command, frozenset()))
    refuse_inside(out, _places(cfg, data))
    plan = PLANNERS[command](checked, cfg, options, data)
    manifest = _manifest(command, cfg, options, plan, findings, before)
    if options.dry_run:
        return {**manifest, "dry_run": True}
    return write_dataset(
        Output(plan.images, data.class_names, data.category_ids, manifest),
        out,
        options.to,
        _pixels(command, options, checked, cfg.seed),
    )


def write_folds(cfg: DataConfig, options: Options, folds: int, root: Path) -> list[dict[str, Any]]:
    """Write a dataset for each fold of a cross-validation; returns their manifests.

    Raises:
        UserError: as `run_tool`, or there are too few images.
    """
    out = _out(options)
    data, checked, findings, before = _checked(cfg, root)
    refuse_inside(out, _places(cfg, data))
    manifests = []
    for fold, images in enumerate(divided(checked, folds, cfg.seed, data.origin)):
        plan = ToolPlan(_ready(images), [])
        manifest = {**_manifest("folds", cfg, options, plan, findings, before), "fold": fold + 1, "folds": folds}
        if not options.dry_run:
            output = Output(plan.images, data.class_names, data.category_ids, manifest)
            manifest = write_dataset(
                output, folder_of(out, fold), options.to, _pixels("folds", options, images, cfg.seed)
            )
        manifests.append(manifest)
    return manifests


def _checked(
    cfg: DataConfig, root: Path, mended: frozenset[str] = frozenset()
) -> tuple[RawDataset, list[Checked], list[Finding], str]:
    """The dataset to work on, its checked images, what was found, and its fingerprint."""
    check_kind(cfg.kind)
    base = root.absolute() / "datasets"
    base.mkdir(parents=True, exist_ok=True)
    data = _read(cfg, base)
    checked, findings = check_dataset(data, Scanner(base / ".scan", verify=cfg.verify), cfg.on_error, mended)
    return data, checked, findings, fingerprint([c.entry() for c in checked], data.class_names)


def _read(cfg: DataConfig, base: Path) -> RawDataset:
    """The dataset to work on; scenes that are made are read from their prepared folder, like any other."""
    if cfg.kind != MADE:
        return read_source(cfg, base)
    from src.data.prepare import prepare
    from src.data.yolo import read_yolo

    return read_yolo(Path(prepare(cfg, base.parent).ref.yaml))


def _places(cfg: DataConfig, data: RawDataset) -> set[Path]:
    """Where the dataset is read from: the folders of its pictures, and all of a folder that is looked through."""
    folders = {item.image.parent for item in data.items}
    if cfg.kind in LOOKED_THROUGH and cfg.path and Path(cfg.path).expanduser().is_dir():
        folders.add(Path(cfg.path).expanduser())
    return folders


def _out(options: Options) -> Path:
    if not options.out:
        raise UserError("out is not set", remedy="out=NEW_FOLDER (dry_run=true writes nothing)")
    out = Path(options.out).expanduser().absolute()
    check_target(out, options.to)
    return out


def _pixels(command: str, options: Options, checked: Sequence[Checked], seed: int) -> Pixels:
    if command == "resize":
        return shrink_to(options.side)
    if command == "augment":
        return augment_with(dict(options.strengths), seed)
    if command == "stretch":
        return stretch_from(bits_of(checked))
    return link_pixels if options.link else copy_pixels


def _manifest(
    command: str, cfg: DataConfig, options: Options, plan: ToolPlan, findings: Sequence[Finding], before: str
) -> dict[str, Any]:
    lost = sum(len(image.ignored_classes) for image in plan.images) if options.to not in KEEP_REGIONS else 0
    return {
        "command": command,
        "source": cfg.path or cfg.source or cfg.kind,
        "data": vars(cfg),
        "options": vars(options),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "source_fingerprint": before,
        "left_out": sorted({f.image for f in findings if f.level == "error" and f.image}),
        "crowd_regions_lost": lost,  # what the format can't hold
        "actions": plan.actions,
    }


def _ready(checked: Sequence[Checked]) -> list[Ready]:
    return [ready(c, name) for c, name in zip(checked, unique_names(checked), strict=True)]


def _convert(checked: Sequence[Checked], cfg: DataConfig, options: Options, data: RawDataset) -> ToolPlan:
    """The same images and boxes; splits are made where the source has none."""
    split, _ = assign_splits(checked, cfg.val_share, cfg.test_share, cfg.seed, data.origin)
    return ToolPlan(_ready(split), [])


def _split(checked: Sequence[Checked], cfg: DataConfig, options: Options, data: RawDataset) -> ToolPlan:
    """New seeded, stratified splits, whatever splits the source has."""
    loose = [replace(c, split="") for c in checked]
    made, _ = assign_splits(loose, cfg.val_share, cfg.test_share, cfg.seed, data.origin)
    was = {id(c.item): c.split for c in checked}
    actions = [
        {"action": "move", "image": str(c.item.image), "detail": f"{was[id(c.item)] or 'no split'} -> {c.split}"}
        for c in made
    ]
    return ToolPlan(_ready(made), actions)


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
    return ToolPlan(_ready(made), list(dropped.values()))


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
    for image in sorted(_ready(made), key=lambda i: (i.split != "train", 0)):
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
    images = _ready(made)
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
    images = _ready(made)
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
    for image in _ready(made):
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
