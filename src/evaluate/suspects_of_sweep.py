"""The sheet of likely label errors of a sweep: what its trials detected on images that none of them was trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from src.common.errors import UserError
from src.data import load_split
from src.data.layout import load_index
from src.evaluate.files import load_detections
from src.evaluate.suspects import suspects
from src.evaluate.suspects_sheet import HTML, Checked, write_sheet
from src.records.schema import DatasetRef, TrialRecord
from src.records.store import load
from src.records.sweep_folder import SweepFolder, TrialFolder

FAIR = 0.5  # share of the best trial's mAP50-95 below which a network is no judge of labels
OUT = "suspects"  # folder below the sweep's

Say = Callable[[str], None]


def suspects_of_sweep(sweep: Path, split: str, most: int, say: Say) -> Path:
    """Write the sheet into the sweep's folder, and return its path.

    Args:
        sweep: folder of the sweep.
        split: val or test.
        most: entries of each list.
        say: prints a line.

    Raises:
        UserError: no trial has detections of the split, or the dataset has changed since.
    """
    if split == "train":
        raise UserError(
            "networks repeat the label errors of images that they were trained on",
            value="split=train",
            remedy="split=val; for all images, train on folds: python -m src.data folds data=… out=DIR",
        )
    by_data: dict[str, list[tuple[TrialRecord, Path]]] = {}
    for trial, file in _judges(sweep, split):
        assert trial.dataset is not None
        by_data.setdefault(trial.dataset.fingerprint, []).append((trial, file))
    if not by_data:
        raise UserError(f"no trial of this sweep has saved detections of {split}", value=sweep, remedy="split=val")
    checked = [_check(group, split) for group in by_data.values()]
    networks = sum(len(group) for group in by_data.values())
    about = f"From {networks} networks of the sweep {sweep.name}, on {split}, which took no part in their training."
    rows = write_sheet(sweep / OUT, checked, most, about)
    for row in rows[:10]:
        say(f"{row['suspicion']:.2f}  {row['kind']:<8} {row['says']}  ({row['image']})")
    say(f"{len(rows)} likely label errors and the hard images: {sweep / OUT / HTML}")
    return sweep / OUT / HTML


def _judges(sweep: Path, split: str) -> list[tuple[TrialRecord, Path]]:
    """Trials that are good enough to judge labels, each with its detections."""
    found = []
    for folder in SweepFolder(sweep).all_trials():
        if folder.record.is_file() and (file := _detections(folder, split)) is not None:
            trial = load(TrialRecord, folder.record)
            if trial.state == "complete" and trial.dataset is not None:
                found.append((trial, file))
    best = max((t.metrics.get("val/mAP50-95", 0.0) for t, _ in found), default=0.0)
    return [(t, f) for t, f in found if t.metrics.get("val/mAP50-95", 0.0) >= FAIR * best]


def _detections(folder: TrialFolder, split: str) -> Path | None:
    """Those of the checkpoint; of an exported file where there are no others."""
    files = sorted(folder.detections.glob(f"{split}-*.npz"))
    return next((f for f in files if f.stem == f"{split}-pytorch-pytorch-fp32"), files[0] if files else None)


def _check(group: list[tuple[TrialRecord, Path]], split: str) -> Checked:
    ref = group[0][0].dataset
    assert ref is not None
    samples = load_split(ref, split)
    found = [load_detections(file, len(samples)) for _, file in group]
    listed, hard = suspects(found, samples, len(ref.class_names))
    return Checked(samples, ref.class_names, sources_of(ref, split), listed, hard)


def sources_of(ref: DatasetRef, split: str) -> list[str]:
    """The user's own file of each image of `load_split`; of images that were made here, the prepared one."""
    folder = Path(ref.yaml).parent
    rows = sorted(load_index(folder)["splits"][split])
    return [str(row[-1]) or str(folder / "images" / split / row[0]) for row in rows]
