"""From the `data` group of the configuration to a prepared folder: read, check, split, lay out, fingerprint.

The folder's name carries a key of everything that decides its content, so a changed source or option makes a new
folder and an unchanged one is found again. A folder that no longer holds what its index says is made again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.common.errors import UserError
from src.common.hashes import hash_of
from src.common.image_loaders import loader_identity
from src.config.schema import DataConfig
from src.data import gate, use_reading
from src.data.check import Checked, check_dataset, classes_by_split
from src.data.fingerprint import fingerprint, label_fingerprint
from src.data.groups import LOOK_ALIKE, check_groups, compiled, look_alike
from src.data.layout import LayoutPlan, Ready, load_index, verify_layout, write_layout
from src.data.leftovers import preparing
from src.data.naming import unique_names
from src.data.region_sidecars import index_of
from src.data.report import write_report
from src.data.roles import assign_splits, calibration_names, take_fraction
from src.data.scan import Scanner
from src.data.sources import MADE, check_kind, read_source
from src.data.types import SPLITS, Finding, RawDataset
from src.records.schema import DatasetRef

VERSION = 3
MAX_SKIPPED = 50  # images left out that the warnings name one by one


@dataclass(frozen=True)
class Prepared:
    """The reference that the other rooms take, and the findings behind its warnings."""

    ref: DatasetRef
    findings: list[Finding]
    folder: Path


def prepare(cfg: DataConfig, root: Path) -> Prepared:
    """Prepare the dataset of `cfg` under `root/datasets`.

    Raises:
        UserError: the configuration or the data is wrong.
    """
    _check_config(cfg)
    use_reading(cfg)
    base = root.absolute() / "datasets"
    base.mkdir(parents=True, exist_ok=True)
    scanner = Scanner(base / ".scan", verify=cfg.verify)
    with preparing(base):
        if cfg.kind == MADE:
            done = _prepare_digits(cfg, base, scanner)
        else:
            done = _prepare_source(read_source(cfg, base), cfg, base, scanner)
        check_groups(done.folder, cfg.group)
        return done


def _check_config(cfg: DataConfig) -> None:
    check_kind(cfg.kind)
    if cfg.on_error not in ("stop", "skip"):
        raise UserError("data.on_error is not known", value=cfg.on_error, remedy="data.on_error=stop or skip")
    if not 0 < cfg.fraction <= 1:
        raise UserError("data.fraction must be above 0 and at most 1", value=cfg.fraction, remedy="data.fraction=0.1")
    for key, share in (("val_share", cfg.val_share), ("test_share", cfg.test_share)):
        if not 0 < share < 0.5:
            raise UserError(f"data.{key} must lie between 0 and 0.5", value=share, remedy=f"data.{key}=0.15")
    if cfg.group is not None:
        compiled(cfg.group)
    if cfg.n_calibration < 1:
        raise UserError(
            "data.n_calibration must be at least 1", value=cfg.n_calibration, remedy="data.n_calibration=100"
        )


def _prepare_digits(cfg: DataConfig, base: Path, scanner: Scanner) -> Prepared:
    """The embedded set: its key is its parameters, so an existing folder spares the making."""
    from src.data.digits import VERSION as DIGITS_VERSION
    from src.data.digits import make_digits

    sizes = {"train": cfg.n_train, "val": cfg.n_val, "test": cfg.n_test}
    key = hash_of([VERSION, DIGITS_VERSION, sizes, cfg.size, cfg.seed, _options(cfg)])
    final = base / f"digits-{key}"
    if not verify_layout(final, scanner):
        with tempfile.TemporaryDirectory(dir=base, prefix=".digits-", suffix=".tmp") as scratch:
            data = make_digits(Path(scratch), sizes, cfg.size, cfg.seed)
            write_layout(_plan(data, cfg, scanner, own=True), final, scanner)
    return _prepared(final)


def _prepare_source(data: RawDataset, cfg: DataConfig, base: Path, scanner: Scanner) -> Prepared:
    plan = _plan(data, cfg, scanner, own=False)
    entries = [image.entry() for image in plan.images]
    sources = [[image.split, image.name, _place(image.source, base)] for image in plan.images]
    said = [vars(finding) for finding in plan.findings]
    content = [fingerprint(entries, data.class_names), plan.calibration, plan.category_ids]
    beside = index_of(plan.images)  # the fingerprint leaves it out; sets without any keep their folder
    through = loader_identity()
    key = hash_of([VERSION, content, sources, said, *([beside] if beside else []), *([through] if through else [])])
    final = base / f"{cfg.name}-{key}"
    if not verify_layout(final, scanner):
        write_layout(plan, final, scanner)
    return _prepared(final)


def _place(source: Path, base: Path) -> str:
    """A file's place for the key: one that we fetched by its place beside the datasets, wherever these are moved."""
    place = source.absolute()
    return place.relative_to(base).as_posix() if place.is_relative_to(base) else str(source)


def _options(cfg: DataConfig) -> list[Any]:
    return [cfg.fraction, cfg.n_calibration]


def _plan(data: RawDataset, cfg: DataConfig, scanner: Scanner, *, own: bool) -> LayoutPlan:
    checked, findings = check_dataset(data, scanner, cfg.on_error)
    checked, said = assign_splits(checked, cfg.val_share, cfg.test_share, cfg.seed, data.origin)
    checked = take_fraction(checked, cfg.fraction, cfg.seed)
    classes = classes_by_split(checked)
    findings += said + gate.check_balance(classes, data.class_names)
    names = unique_names(checked)
    images = [ready(c, name, own=own) for c, name in zip(checked, names, strict=True)]
    notes: dict[str, Any] = {
        "origin": data.origin,
        "resolvable": {split: gate.resolvable(classes[split]) for split in ("val", "test") if split in classes},
        "label_fingerprint": label_fingerprint([c.entry() for c in checked]),
        LOOK_ALIKE: look_alike(checked, names),
        "skipped": sorted({f.image for f in findings if f.level == "error" and f.image}),
    }
    calibration = calibration_names(checked, names, cfg.n_calibration, cfg.seed)
    return LayoutPlan(cfg.name, data.class_names, images, calibration, findings, data.category_ids, notes)


def ready(c: Checked, name: str, *, own: bool = False) -> Ready:
    """A checked image under the name that it gets in a new folder."""
    return Ready(
        source=c.item.image,
        split=c.split,
        name=name,
        width=c.facts.width,
        height=c.facts.height,
        sha256=c.facts.sha256,
        boxes=c.boxes,
        classes=c.classes,
        areas=c.areas,
        ignored=c.ignored,
        ignored_classes=c.item.ignored_classes,
        difficult=c.item.difficult,
        own=own,
        copy=not c.facts.complete,
    )


def _prepared(folder: Path) -> Prepared:
    write_report(folder)
    index = load_index(folder)
    findings = [Finding(**row) for row in index["findings"]]
    ref = DatasetRef(
        name=index["name"],
        yaml=str(folder / "data.yaml"),
        fingerprint=index["fingerprint"],
        split_sizes={split: len(index["splits"][split]) for split in SPLITS},
        class_names=index["class_names"],
        warnings=_warnings(findings, folder),
        split_fingerprints=index["split_fingerprints"],
    )
    return Prepared(ref, findings, folder)


def _warnings(findings: Sequence[Finding], folder: Path) -> list[str]:
    """Lines for the report's risks: every image left out, and a summary of the warnings."""
    skipped = [f"left out: {finding}" for finding in findings if finding.level == "error"]
    if len(skipped) > MAX_SKIPPED:
        rest = len(skipped) - MAX_SKIPPED
        skipped = [*skipped[:MAX_SKIPPED], f"left out: {rest} more, listed in {folder / 'check.md'}"]
    return skipped + gate.summarise([f for f in findings if f.level == "warning"])
