"""Read a sweep's saved records. The report starts here and sees nothing else."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from src.common.errors import UserError
from src.decide.contradictions import (
    check_depth,
    check_devices,
    check_files,
    check_replicates,
    check_scores,
    check_sources,
)
from src.decide.plausible import check_evaluation, check_finalist, check_images, check_sweep, check_trial
from src.decide.round_values import rounds_of
from src.records.find_sweep import read_sweep
from src.records.schema import (
    DeviceRecord,
    EvaluationRecord,
    FinalistRecord,
    ImageResamples,
    SweepRecord,
    TrialRecord,
)
from src.records.store import load_or_refuse
from src.records.sweep_folder import SweepFolder, is_name

T = TypeVar("T")
EvaluationKey = tuple[str, str, str]  # artifact's hash, runtime, split


@dataclass(frozen=True)
class Saved:
    """Everything that a sweep left behind."""

    folder: Path
    sweep: SweepRecord
    trials: list[TrialRecord]  # by trial number
    finalists: dict[int, FinalistRecord]  # trial number -> what the finalist stage found
    evaluations: dict[EvaluationKey, EvaluationRecord]  # in depth, where there is one
    images: dict[int, ImageResamples] = field(default_factory=dict)  # trial number -> its mAP under resampled images
    devices: dict[str, DeviceRecord] = field(default_factory=dict)  # name -> what finalists cost there


def load_sweep(folder: Path) -> Saved:
    """Read the records of one sweep.

    Raises:
        UserError: a record is missing, malformed, of an unknown schema version, or belongs to another sweep.
    """
    with _without_collector():
        return _load(folder)


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Records hold no cycles; the collector, looking through thousands of them, takes a fifth of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _load(folder: Path) -> Saved:
    place = SweepFolder(folder)
    sweep, trial_folders = read_sweep(place), place.all_trials()
    if sweep.sweep != folder.name or not is_name(sweep.sweep):  # its name becomes that of a folder
        raise UserError(f"{place.record} belongs to another sweep", value=sweep.sweep, remedy=folder.name)
    check_sweep(sweep, place.record)
    trials = _numbered(TrialRecord, _there(f.record for f in trial_folders), sweep.sweep)
    finalists = _numbered(FinalistRecord, _there(f.finalist for f in trial_folders), sweep.sweep)
    if missing := sorted(finalists.keys() - trials.keys()):
        lone = place.trial(missing[0])
        raise UserError(f"{folder}: trial {missing[0]} has a {lone.finalist.name} but no {lone.record.name}")
    evaluations = (_evaluation(path) for f in trial_folders for path in f.evaluations())
    in_depth = {(e.artifact_sha256, e.runtime, e.split): e for e in evaluations}
    images = _numbered(ImageResamples, _there(f.images() for f in trial_folders), sweep.sweep)
    finalists = {n: _with_rounds(record, folder) for n, record in finalists.items()}
    devices = {record.device: record for record in _devices(place)}
    check_replicates(trials, place)
    check_scores(trials, images, place)
    for number, record in finalists.items():
        file = place.trial(number).finalist
        check_sources(record, trials[number], file)
        check_files(record, file)
        check_depth(record, in_depth, file)
    check_devices(devices, finalists, trials, place)
    return Saved(folder, sweep, [trials[n] for n in sorted(trials)], finalists, in_depth, images, devices)


def _evaluation(path: Path) -> EvaluationRecord:
    record = load_or_refuse(EvaluationRecord, path)
    check_evaluation(record, path)
    return record


def _devices(place: SweepFolder) -> Iterator[DeviceRecord]:
    """What was measured elsewhere; a record lies in the folder of its device and sweep."""
    for path in place.device_records():
        record = load_or_refuse(DeviceRecord, path)
        check_finalist(record, path)
        if (record.sweep, record.device) != (place.path.name, path.parent.name):
            owner = f"{record.sweep}/{record.device}"
            raise UserError(f"{path} belongs to another sweep or device", value=owner, remedy="import it again")
        yield record


def _with_rounds(record: FinalistRecord, folder: Path) -> FinalistRecord:
    """Older records lack each round's latency: it is taken from the raw samples that they name."""
    return replace(record, measurements=[replace(m, rounds=rounds_of(m, folder)) for m in record.measurements])


def _there(paths: Iterable[Path]) -> list[Path]:
    """The files that exist; a link that leads nowhere is one too, and not a trial without a record."""
    return [path for path in paths if os.path.lexists(path)]


def _numbered(cls: type[T], paths: Iterable[Path], sweep: str) -> dict[int, T]:
    found: dict[int, T] = {}
    for path in sorted(paths):
        record = load_or_refuse(cls, path)
        assert isinstance(record, TrialRecord | FinalistRecord | ImageResamples)
        if isinstance(record, TrialRecord):
            check_trial(record, path)
        elif isinstance(record, FinalistRecord):
            check_finalist(record, path)
        else:
            check_images(record, path)
        if record.sweep != sweep:
            raise UserError(f"{path} belongs to another sweep", value=record.sweep, remedy=f"expected {sweep}")
        if record.trial in found:
            raise UserError(f"{path}: trial {record.trial} is recorded twice")
        found[record.trial] = record
    return found
