"""Gives saved records the server's ids of runs that were started while the server was away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from src.records.parsing import RecordError
from src.records.schema import EvaluationRecord, FinalistRecord, SweepRecord, TrialRecord
from src.records.store import load, save
from src.records.sweep_folder import SweepFolder
from src.track.spool import LOCAL, is_local


def adopt(folder: Path, known_as: Callable[[str], str]) -> int:
    """Replace the run ids of a sweep's finished records where the server has given another; returns how many.

    Args:
        folder: of the sweep.
        known_as: the server's id of a run, or the same id while there is none.
    """
    count = 0
    for path, kind in _records(SweepFolder(folder)):
        if path.exists() and LOCAL in path.read_text(encoding="utf-8"):
            count += _adopt_one(path, kind, known_as)
    return count


def _records(folder: SweepFolder) -> Iterator[tuple[Path, type[Any]]]:
    yield folder.record, SweepRecord
    for trial in folder.all_trials():
        yield from ((trial.record, TrialRecord), (trial.finalist, FinalistRecord))
        yield from ((path, EvaluationRecord) for path in trial.evaluations())


def _adopt_one(path: Path, kind: type[Any], known_as: Callable[[str], str]) -> bool:
    try:
        record = load(kind, path)
    except RecordError:
        return False  # the report says what is wrong with it
    run_id = known_as(record.run_id) if is_local(record.run_id) else record.run_id
    if run_id == record.run_id:
        return False
    save(path, replace(record, run_id=run_id))
    return True
