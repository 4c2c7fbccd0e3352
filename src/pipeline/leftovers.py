"""What killed processes were writing aside, cleared away by whoever has the folder alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from src.pipeline.context import locked

FINISHED = ("benchmark", "trials", "truths")  # folders of a sweep that nobody but `finish` writes in at its end


def clear_leftovers(folder: Path) -> None:
    """Remove what a killed process was writing aside in a folder; whoever calls this has the folder alone."""
    _remove([*folder.rglob(".*.tmp"), *folder.rglob(".*.tmp.npz")])


def clear_sweep(folder: Path, report: Path) -> None:
    """Remove it from a sweep whose trainings are over; the caller holds its `finish.lock`.

    Args:
        folder: of the sweep.
        report: folder of its report.
    """
    for one in (*(folder / name for name in FINISHED), report):
        clear_leftovers(one)
    # Another command may open the sweep at this moment: what it writes beside the folders, it writes under this lock.
    with locked(folder / "open.lock"):
        _remove(folder.glob(".*.tmp"))


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
