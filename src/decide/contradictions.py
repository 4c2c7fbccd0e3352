"""Records that contradict each other are refused: an export's loss is held against what its source is known to reach.

A source's mAP50-95 stands in several places: in the row of the checkpoint itself, in the record of its training, and,
once test was opened, among the figures on test. `reference_map` is a copy of it. One that says otherwise, and be it 0
(of nothing no accuracy can be lost), would make a lossy file look like a sound one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from src.decide.plausible import MAP, refuse
from src.records.schema import (
    DeviceRecord,
    EvaluationRecord,
    FinalistRecord,
    ImageResamples,
    Measurement,
    TrialRecord,
    Verification,
)
from src.records.sweep_folder import SweepFolder

SAME = 1e-9  # of figures that one pass wrote twice
AGAIN = 0.01  # of one network judged twice: another machine or a GPU moves mAP50-95 by far less
SOURCE = ("pytorch", "fp32", "pytorch")


def check_sources(record: FinalistRecord, trial: TrialRecord, file: Path) -> None:
    """References of a finalist against its checkpoint's own figures.

    Args:
        record: the finalist.
        trial: the training that its checkpoint comes from.
        file: that the finalist was read from.

    Raises:
        UserError: a reference that the source contradicts, or a gate that such a file can't have.
    """
    own = _sources(record.verifications)
    told = {"val": trial.metrics.get(f"val/{MAP}"), "test": record.test_metrics.get(f"test/{MAP}")}
    for i, v in enumerate(record.verifications):
        at = f"verifications[{i}]"
        if v.gate == "none" or (v.gate == "reference") != (v.format == "pytorch"):
            refuse(file, f"{at}.gate", f"can't be that of {v.format}/{v.precision}", v.gate)
        if _key(v) == SOURCE:
            _must_agree(v, v.metrics.get(MAP), SAME, file, at, "of its own row")
        # The files of val are judged in one pass; test may have been opened again for some of them.
        _must_agree(v, own.get(v.split), SAME if v.split == "val" else AGAIN, file, at, "of the checkpoint's row")
        where = "in the record of its training" if v.split == "val" else "in test_metrics"
        _must_agree(v, told.get(v.split), AGAIN, file, at, where)
    for i, v in enumerate(record.post_training):  # of another network, which has no row: its files agree at least
        first = next(w for w in record.post_training if w.split == v.split)
        _must_agree(v, first.reference_map, AGAIN, file, f"post_training[{i}]", "of the files before it")


def check_files(record: FinalistRecord, file: Path) -> None:
    """What a figure is said to be of against what the artifact of that hash is.

    Raises:
        UserError: a figure is said to be of another format or precision than its file.
    """
    labels: dict[str, set[tuple[str, str]]] = {}
    for artifact in record.artifacts:
        labels.setdefault(artifact.sha256, set()).add((artifact.format, artifact.precision))
    figures: dict[str, Sequence[Verification | Measurement]] = {
        "verifications": record.verifications,
        "measurements": record.measurements,
    }
    for where, found in figures.items():
        for i, one in enumerate(found):
            known = labels.get(one.artifact_sha256)
            if known is not None and (one.format, one.precision) not in known:
                told = " or ".join(sorted("/".join(label) for label in known))
                refuse(file, f"{where}[{i}]", f"is of a file that is {told}", f"{one.format}/{one.precision}")


def check_replicates(trials: Mapping[int, TrialRecord], place: SweepFolder) -> None:
    """Trials of one configuration differ in nothing but their seed.

    Raises:
        UserError: two are of different models, sizes or rates.
    """
    first: dict[str, TrialRecord] = {}
    for number, trial in sorted(trials.items()):
        other = first.setdefault(trial.config_id, trial)
        for key in ("model", "imgsz", "lr"):
            if getattr(trial, key) != getattr(other, key):
                why = f"differs from that of trial {other.trial}, of the same configuration: {getattr(other, key)}"
                refuse(place.trial(number).record, key, why, getattr(trial, key))


def check_scores(trials: Mapping[int, TrialRecord], images: Mapping[int, ImageResamples], place: SweepFolder) -> None:
    """A training's score against that of its resamples, which are made of the same boxes.

    Raises:
        UserError: the two are of different accuracy.
    """
    for number, record in images.items():
        value = trials[number].metrics.get(f"val/{MAP}") if number in trials else None
        if value is not None and math.isfinite(record.value) and not _near(value, record.value, AGAIN):
            file = place.trial(number).record
            refuse(file, f"metrics.val/{MAP}", f"is not what its boxes give, which is {record.value:g}", value)


def check_depth(record: FinalistRecord, found: Mapping[tuple[str, str, str], EvaluationRecord], file: Path) -> None:
    """Accuracy of a file against its evaluation in depth, which is made of the same boxes.

    Raises:
        UserError: the two are of different accuracy.
    """
    for i, v in enumerate(record.verifications):
        depth = found.get((v.artifact_sha256, v.runtime, v.split))
        known, value = depth.figures.get(MAP) if depth else None, v.metrics.get(MAP, math.nan)
        if known is not None and not _near(value, known, AGAIN):
            field = f"verifications[{i}].metrics.{MAP}"
            refuse(file, field, f"is not what its evaluation in depth says, which is {known:g}", value)


def check_devices(
    devices: Mapping[str, DeviceRecord],
    finalists: Mapping[int, FinalistRecord],
    trials: Mapping[int, TrialRecord],
    place: SweepFolder,
) -> None:
    """References of a device, where all images of the split were judged there, against those of the sweep.

    Raises:
        UserError: a reference that the sweep's own contradicts.
    """
    owners = {a.sha256: number for number, one in finalists.items() for a in one.artifacts}
    for name, record in devices.items():
        for i, v in enumerate(record.verifications):
            number = owners.get(v.artifact_sha256)
            dataset = trials[number].dataset if number is not None else None
            if number is not None and dataset and v.extra.get("images") == dataset.split_sizes.get(v.split):
                source = _sources(finalists[number].verifications).get(v.split)
                file = place.device_record(name)
                _must_agree(v, source, AGAIN, file, f"verifications[{i}]", "of the checkpoint in the sweep")


def _sources(found: Sequence[Verification]) -> dict[str, float]:
    """Split -> mAP50-95 of the checkpoint itself."""
    return {v.split: v.metrics.get(MAP, math.nan) for v in found if _key(v) == SOURCE}


def _key(v: Verification) -> tuple[str, str, str]:
    return v.format, v.precision, v.runtime


def _must_agree(v: Verification, known: float | None, tolerance: float, file: Path, at: str, where: str) -> None:
    if known is not None and not _near(v.reference_map, known, tolerance):
        refuse(file, f"{at}.reference_map", f"is not the mAP50-95 {where}, which is {known:g}", v.reference_map)


def _near(a: float, b: float, tolerance: float) -> bool:
    """Whether two figures are one; none is not 0."""
    return (math.isnan(a) and math.isnan(b)) or abs(a - b) <= tolerance
