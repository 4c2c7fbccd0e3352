"""Read a sweep's saved records. The report starts here and sees nothing else.

Layout: `outputs/sweeps/<sweep>/sweep.json`, `trials/NNNN/record.json`, `trials/NNNN/finalist.json` and
`trials/NNNN/evaluation/*.json`, `trials/NNNN/images.json`.
"""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from src.common.errors import UserError
from src.config.schema import is_name
from src.decide.plausible import check_finalist, check_images, check_sweep, check_trial
from src.decide.round_values import rounds_of
from src.records.parsing import RecordError
from src.records.schema import EvaluationRecord, FinalistRecord, ImageResamples, SweepRecord, TrialRecord
from src.records.store import load

T = TypeVar("T")
LATEST = "latest"
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


def sweeps_folder(outputs: Path) -> Path:
    """Where sweeps are kept below `outputs`."""
    return outputs / "sweeps"


def known_sweeps(outputs: Path) -> list[str]:
    """Names of the saved sweeps, sorted."""
    return sorted(p.parent.name for p in sweeps_folder(outputs).glob("*/sweep.json"))


def find_sweep(outputs: Path, name: str) -> Path:
    """The folder of the sweep called `name`, or of the newest one when `name` is `latest`.

    Raises:
        UserError: there is no such sweep; the message lists those that exist.
    """
    known = known_sweeps(outputs)
    if name == LATEST:
        return _latest(outputs, known)
    if not is_name(name) or name not in known:
        raise UserError(
            f"sweep is not known under {sweeps_folder(outputs)}",
            value=name,
            remedy=f"sweep={LATEST} or one of: {', '.join(known)}" if known else "run python -m src.run -m … first",
        )
    return sweeps_folder(outputs) / name


def _latest(outputs: Path, known: list[str]) -> Path:
    """The newest started sweep; single runs are passed over."""
    records = [(_read(SweepRecord, sweeps_folder(outputs) / name / "sweep.json"), name) for name in known]
    started = [(record.started_at, name) for record, name in records if record.kind != "single"]
    if not started:
        raise UserError(
            f"sweep={LATEST} finds no sweep under {sweeps_folder(outputs)}",
            remedy="run python -m src.run -m … first" if not known else f"sweep= one of: {', '.join(known)}",
        )
    return sweeps_folder(outputs) / max(started)[1]


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
    sweep = _read(SweepRecord, folder / "sweep.json")
    if sweep.sweep != folder.name or not is_name(sweep.sweep):  # its name becomes that of a folder
        raise UserError(f"{folder / 'sweep.json'} belongs to another sweep", value=sweep.sweep, remedy=folder.name)
    check_sweep(sweep, folder / "sweep.json")
    trials = _numbered(TrialRecord, _files(folder, "record.json"), sweep.sweep)
    finalists = _numbered(FinalistRecord, _files(folder, "finalist.json"), sweep.sweep)
    if missing := sorted(finalists.keys() - trials.keys()):
        raise UserError(f"{folder}: trial {missing[0]} has a finalist.json but no record.json")
    evaluations = (_read(EvaluationRecord, path) for path in sorted(folder.glob("trials/*/evaluation/*.json")))
    in_depth = {(e.artifact_sha256, e.runtime, e.split): e for e in evaluations}
    images = _numbered(ImageResamples, _files(folder, "images.json"), sweep.sweep)
    finalists = {n: _with_rounds(record, folder) for n, record in finalists.items()}
    return Saved(folder, sweep, [trials[n] for n in sorted(trials)], finalists, in_depth, images)


def _with_rounds(record: FinalistRecord, folder: Path) -> FinalistRecord:
    """Older records lack each round's latency: it is taken from the raw samples that they name."""
    return replace(record, measurements=[replace(m, rounds=rounds_of(m, folder)) for m in record.measurements])


def _files(folder: Path, name: str) -> list[Path]:
    """The files of this name, one a trial; a link that leads nowhere is one too, and not a trial without a record."""
    return [path for trial in folder.glob("trials/*") if os.path.lexists(path := trial / name)]


def _numbered(cls: type[T], paths: Iterable[Path], sweep: str) -> dict[int, T]:
    found: dict[int, T] = {}
    for path in sorted(paths):
        record = _read(cls, path)
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


def _read(cls: type[T], path: Path) -> T:
    try:
        return load(cls, path)
    except RecordError as error:
        raise UserError(str(error), remedy="restore the file, or write the record again by running the trial") from None
