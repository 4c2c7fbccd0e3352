"""Further places that a run is written to beside MLflow: TensorBoard's event files, and Weights & Biases.

MLflow stays the one that runs are found and resumed by; the others get a copy of metrics, parameters, tags and the
dataset. A copy that fails costs itself: the training goes on, and the log says so once.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from src.common.errors import UserError
from src.common.redaction import redact_text
from src.common.whole_files import write_text
from src.config.schema import TrackingConfig
from src.records.schema import DatasetRef
from src.track.entries import Recorder
from src.track.names import plain, shorten
from src.track.protocol import RunLog, Tracker
from src.track.refusals import Entry
from src.track.store_location import experiment_of

log = logging.getLogger(__name__)
PLACES = {"tensorboard": "src.track.tensorboard", "wandb": "src.track.wandb"}
NEEDS = {"tensorboard": "tensorboard", "wandb": "wandb"}
NAMES = Path("tracking") / "names"  # below outputs: what a run that is resumed by its id was called


class Copy(Protocol):
    """One run in a further place."""

    def put(self, entry: Entry) -> None:
        """Write an entry of `src.track.entries`; secrets are masked in it."""


class Place(Protocol):
    """A further place."""

    def open(self, run_id: str, name: str, parent: str) -> Copy:
        """A run: its MLflow id, what it is called, and what its parent is called ("" for none)."""


def check_also(cfg: TrackingConfig) -> None:
    """Refuse places that there are none of, or that can't be written to here, before anything runs.

    Raises:
        UserError: naming the key, its value and the remedy.
    """
    for name in cfg.also:
        if name not in PLACES:
            raise UserError("tracking.also holds an unknown place", value=name, remedy=f"some of: {', '.join(PLACES)}")
        if importlib.util.find_spec(NEEDS[name]) is None:
            raise UserError(
                f"tracking.also={name} needs {NEEDS[name]}, which is not installed",
                value=name,
                remedy=f"make setup EXTRAS={name}",
            )
        importlib.import_module(PLACES[name]).check()
    if cfg.also and not cfg.enabled:
        raise UserError(
            "tracking.also stands beside MLflow, by which runs are found and resumed, and MLflow is off",
            value=f"tracking.enabled=false tracking.also={cfg.also}",
            remedy="tracking=local: a SQLite file under outputs/, without a server",
        )


def beside(main: Tracker, cfg: TrackingConfig, outputs: Path) -> Tracker:
    """The tracker, and the further places of the configuration beside it.

    Raises:
        UserError: as `check_also`.
    """
    check_also(cfg)
    if not cfg.also:
        return main
    experiment, modules = experiment_of(cfg), {name: importlib.import_module(PLACES[name]) for name in cfg.also}
    return BesideTracker(main, {name: m.place(outputs, experiment) for name, m in modules.items()}, outputs)


class BesideTracker:
    """MLflow's tracker with further places.

    Args:
        main: decides everything.
        places: by name.
        outputs: where names of runs are kept.
    """

    def __init__(self, main: Tracker, places: Mapping[str, Place], outputs: Path) -> None:
        self._main, self._places, self._names = main, places, outputs / NAMES

    def start(
        self, name: str, *, parent: str = "", tags: Mapping[str, str] | None = None, monitor: bool = False
    ) -> RunLog:
        """Start a run everywhere."""
        run = self._main.start(name, parent=parent, tags=tags, monitor=monitor)
        if run.run_id:
            write_text(self._names / plain(run.run_id), f"{redact_text(name)}\n{parent}\n")
        own = self._beside(run)
        for copy in own.copies:
            copy.tags(tags or {})
        return own

    def resume(self, run_id: str, *, monitor: bool = False) -> RunLog:
        """Go on writing to an existing run everywhere."""
        return self._beside(self._main.resume(run_id, monitor=monitor))

    def is_open(self, run_id: str) -> bool:
        """As MLflow says."""
        return self._main.is_open(run_id)

    def find(self, tag: str, value: str) -> str:
        """As MLflow says."""
        return self._main.find(tag, value)

    def end_run(self, run_id: str, status: str) -> None:
        """Close a run that is not at hand: elsewhere it ended with its process."""
        self._main.end_run(run_id, status)

    def attach(self, run_id: str, paths: Sequence[Path], folder: str) -> None:
        """Log files to MLflow alone."""
        self._main.attach(run_id, paths, folder)

    def deliver(self, folder: Path, seconds: float = 60.0) -> int:
        """Send what waits for MLflow's server."""
        return self._main.deliver(folder, seconds)

    def close(self, seconds: float = 60.0) -> None:
        """Stop."""
        self._main.close(seconds)

    def _beside(self, run: RunLog) -> BesideRun:
        if not run.run_id:
            return BesideRun(run, [])
        name, parent = self._called(run.run_id)
        above = self._called(parent)[0] if parent else ""
        return BesideRun(run, [Guarded(place, run.run_id, name, above, key) for key, place in self._places.items()])

    def _called(self, run_id: str) -> tuple[str, str]:
        """What a run is called, and its parent's id; a run of elsewhere goes by its id."""
        try:
            name, parent, *_ = (self._names / plain(run_id)).read_text(encoding="utf-8").split("\n")
        except (OSError, ValueError):
            return run_id, ""
        return name or run_id, parent


class Guarded(Recorder):
    """A run in a further place, opened when something is first written to it; what fails there ends there."""

    def __init__(self, place: Place, run_id: str, name: str, parent: str, key: str) -> None:
        super().__init__(run_id)
        self._place, self._called, self._key = place, (shorten(name, name, 100), parent), key
        self._copy: Copy | None = None
        self._broken = False

    def _put(self, entry: Entry) -> None:
        if self._broken or (self._copy is None and entry["kind"] == "end"):
            return
        try:
            if self._copy is None:
                self._copy = self._place.open(self.run_id, *self._called)
            self._copy.put(entry)
        except Exception as error:  # foreign code, on a disk or a network of its own
            self._broken = True
            reason = redact_text((str(error).splitlines() or [type(error).__name__])[0][:200])
            log.warning("tracking.also=%s: run %r is no longer copied there (%s)", self._key, self._called[0], reason)


class BesideRun:
    """A run in MLflow with its copies."""

    def __init__(self, main: RunLog, copies: Sequence[Guarded]) -> None:
        self._main, self.copies = main, copies
        self.run_id, self.last_epoch = main.run_id, main.last_epoch

    @property
    def _all(self) -> tuple[RunLog, ...]:
        return (self._main, *self.copies)

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Log finite metrics at a step."""
        for run in self._all:
            run.metrics(values, step)

    def series(self, values: Mapping[str, Sequence[tuple[int, float]]]) -> None:
        """Log metrics that have a value at each of several steps."""
        for run in self._all:
            run.series(values)

    def params(self, values: Mapping[str, Any]) -> None:
        """Log flattened parameters."""
        for run in self._all:
            run.params(values)

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags."""
        for run in self._all:
            run.tags(values)

    def dataset(self, ref: DatasetRef) -> None:
        """Log the dataset as the run's input."""
        for run in self._all:
            run.dataset(ref)

    def files(self, paths: Sequence[Path], folder: str) -> None:
        """Log files to MLflow alone."""
        self._main.files(paths, folder)

    def folder(self, path: Path, folder: str) -> None:
        """Log a folder's files to MLflow alone."""
        self._main.folder(path, folder)

    def end(self, status: str = "FINISHED") -> None:
        """Close the run everywhere."""
        for run in self._all:
            run.end(status)
