"""Finds a saved sweep by its name, the same way in every command: `sweep=NAME`, or `sweep=latest` for the newest."""

from __future__ import annotations

from pathlib import Path

from src.common.errors import UserError
from src.records.schema import SweepRecord
from src.records.store import load_or_refuse
from src.records.sweep_folder import SweepFolder, is_name, sweeps_folder

LATEST = "latest"


def known_sweeps(outputs: Path) -> list[str]:
    """Names of the saved sweeps, sorted."""
    folders = sweeps_folder(outputs).glob("*")
    return sorted(path.name for path in folders if SweepFolder(path).record.exists())


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
    records = [(read_sweep(SweepFolder(sweeps_folder(outputs) / name)), name) for name in known]
    started = [(record.started_at, name) for record, name in records if record.kind != "single"]
    if not started:
        raise UserError(
            f"sweep={LATEST} finds no sweep under {sweeps_folder(outputs)}",
            remedy="run python -m src.run -m … first" if not known else f"sweep= one of: {', '.join(known)}",
        )
    return sweeps_folder(outputs) / max(started)[1]


def read_sweep(folder: SweepFolder) -> SweepRecord:
    """The record of a sweep.

    Raises:
        UserError: it is missing or malformed.
    """
    return load_or_refuse(SweepRecord, folder.record)
