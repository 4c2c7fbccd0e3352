"""What killed processes were writing aside, cleared away by whoever has the folder alone."""

from __future__ import annotations

from pathlib import Path

from src.common.whole_files import clear_asides, locked

FINISHED = ("benchmark", "trials", "truths")  # folders of a sweep that nobody but `finish` writes in at its end


def clear_leftovers(folder: Path) -> None:
    """Remove what a killed process was writing aside in a folder; whoever calls this has the folder alone."""
    clear_asides(list(folder.rglob(".*")))


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
        clear_asides(folder.glob(".*"))
