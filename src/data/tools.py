"""Repair and preparation: convert, split, de-duplicate, balance, resize and stretch a dataset into a new folder.

Each tool plans first: it says for every image it drops, moves, repeats or shrinks what it would do. A dry run prints
that plan and writes nothing; a real run keeps the plan in the new folder's manifest. Sources stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from src.common.errors import UserError
from src.config.schema import DataConfig
from src.data.augment import augment_with
from src.data.check import Checked, check_dataset
from src.data.fingerprint import fingerprint
from src.data.folds import divided, folder_of
from src.data.scan import Scanner
from src.data.sources import MADE, check_kind, read_source
from src.data.tool_plans import PLANNERS, Options, ToolPlan, bits_of, ready_images
from src.data.types import Finding, RawDataset
from src.data.writers import (
    KEEP_REGIONS,
    Output,
    Pixels,
    check_target,
    copy_pixels,
    link_pixels,
    refuse_inside,
    shrink_to,
    stretch_from,
    write_dataset,
)

LOOKED_THROUGH = ("coco", "voc", "cvat", "label_studio")  # kinds whose folder is searched, not described
LEAKS = frozenset({"duplicate-across-splits"})
# Errors that a tool is there to mend.
MENDED = {"dedupe": LEAKS, "split": LEAKS, "stretch": frozenset({"bit-depth"})}


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
        plan = ToolPlan(ready_images(images), [])
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
