"""What killed processes were writing aside, cleared away by whoever has the folder alone."""

from __future__ import annotations

from pathlib import Path

from src.common.whole_files import clear_asides, locked
from src.records.sweep_folder import SweepFolder


def clear_leftovers(folder: Path) -> None:
    """Remove what a killed process was writing aside in a folder; whoever calls this has the folder alone."""
    clear_asides(list(folder.rglob(".*")))


def clear_sweep(folder: Path, report: Path) -> None:
    """Remove it from a sweep whose trainings are over; the caller holds its `finish.lock`.

    Args:
        folder: of the sweep.
        report: folder of its report.
    """
    places = SweepFolder(folder)
    # At its end nobody but `finish` writes in these.
    for one in (places.benchmark, places.trials, places.ground_truths, report):
        clear_leftovers(one)
    # Another command may open the sweep at this moment: what it writes beside the folders, it writes under this lock.
    with locked(places.open_lock):
        clear_asides(folder.glob(".*"))
