"""What the pipeline may ask of tracking, and the tracker that keeps nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from src.records.schema import DatasetRef


class RunLog(Protocol):
    """One run that is being written."""

    run_id: str
    last_epoch: int  # highest epoch that was logged before this process took the run over; 0 for a new run

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Log finite metrics at a step; others are left out."""

    def series(self, values: Mapping[str, Sequence[tuple[int, float]]]) -> None:
        """Log metrics that have a value at each of several steps."""

    def params(self, values: Mapping[str, Any]) -> None:
        """Log flattened parameters."""

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags."""

    def dataset(self, ref: DatasetRef) -> None:
        """Log the dataset as the run's input."""

    def files(self, paths: Sequence[Path], folder: str) -> None:
        """Log files as artifacts under a folder of the run."""

    def folder(self, path: Path, folder: str) -> None:
        """Log a folder's files, with their tree, under a folder of the run."""

    def end(self, status: str = "FINISHED") -> None:
        """Close the run: FINISHED, FAILED or KILLED."""


class Tracker(Protocol):
    """Opens runs."""

    def start(
        self, name: str, *, parent: str = "", tags: Mapping[str, str] | None = None, monitor: bool = False
    ) -> RunLog:
        """Start a run, as a child of `parent` where given, with system metrics where `monitor` is true."""

    def resume(self, run_id: str, *, monitor: bool = False) -> RunLog:
        """Go on writing to an existing run."""

    def is_open(self, run_id: str) -> bool:
        """Whether a run was not brought to its end: it counts as running, or was interrupted."""

    def find(self, tag: str, value: str) -> str:
        """The id of the run with this tag; "" when there is none."""

    def end_run(self, run_id: str, status: str) -> None:
        """Close a run that is not at hand."""

    def attach(self, run_id: str, paths: Sequence[Path], folder: str) -> None:
        """Log files under a folder of a run that is at its end, and stays there."""

    def deliver(self, folder: Path, seconds: float = 60.0) -> int:
        """Send what waits on disk, as long as the store takes it, and return how many entries are left.

        Args:
            folder: of a sweep: its records get the store's ids of runs that were started while the store was away.
            seconds: at most.
        """

    def close(self, seconds: float = 60.0) -> None:
        """Send what waits, say what is left, and stop."""


class NullRun:
    """A run that keeps nothing."""

    run_id = ""
    last_epoch = 0

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Keep nothing."""

    def series(self, values: Mapping[str, Sequence[tuple[int, float]]]) -> None:
        """Keep nothing."""

    def params(self, values: Mapping[str, Any]) -> None:
        """Keep nothing."""

    def tags(self, values: Mapping[str, str]) -> None:
        """Keep nothing."""

    def dataset(self, ref: DatasetRef) -> None:
        """Keep nothing."""

    def files(self, paths: Sequence[Path], folder: str) -> None:
        """Keep nothing."""

    def folder(self, path: Path, folder: str) -> None:
        """Keep nothing."""

    def end(self, status: str = "FINISHED") -> None:
        """Keep nothing."""


class NullTracker:
    """Tracking switched off."""

    def start(
        self, name: str, *, parent: str = "", tags: Mapping[str, str] | None = None, monitor: bool = False
    ) -> RunLog:
        """Return a run that keeps nothing."""
        return NullRun()

    def resume(self, run_id: str, *, monitor: bool = False) -> RunLog:
        """Return a run that keeps nothing."""
        return NullRun()

    def is_open(self, run_id: str) -> bool:
        """No run is ever open."""
        return False

    def find(self, tag: str, value: str) -> str:
        """There are no runs."""
        return ""

    def end_run(self, run_id: str, status: str) -> None:
        """There are no runs."""

    def attach(self, run_id: str, paths: Sequence[Path], folder: str) -> None:
        """There are no runs."""

    def deliver(self, folder: Path, seconds: float = 60.0) -> int:
        """Nothing waits."""
        return 0

    def close(self, seconds: float = 60.0) -> None:
        """Nothing is open."""
