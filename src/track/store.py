"""An MLflow store at hand: a SQLite file by default, a database by its address.

Every write goes through `MlflowClient` with an explicit run id, so that no global "active run" can be left open and
several runs can be written side by side.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from src.common.errors import UserError
from src.common.whole_files import aside_of
from src.config.schema import TrackingConfig
from src.track.entries import EPOCH_METRIC, Recorder, apply, create, started
from src.track.protocol import NullRun, RunLog
from src.track.refusals import Book, Entry, Refused, is_refusal
from src.track.store_location import ARTIFACTS, experiment_of, follow, store_uri, use

log = logging.getLogger(__name__)

# MLflow's UI shows pages for language models otherwise.
KIND = {"mlflow.experimentKind": "custom_model_development"}
UNENDED = ("RUNNING", "KILLED")


class MlflowRun(Recorder):
    """A run in an MLflow store.

    Args:
        client: of the store.
        run_id: "" for a run that the store would not start: everything written to it is kept as refused.
        book: where what the store refuses is kept.
        monitor: of the machine, stopped at the end.
        last_epoch: highest epoch that the run has.
    """

    def __init__(self, client: Any, run_id: str, book: Book, monitor: Any = None, last_epoch: int = 0) -> None:
        super().__init__(run_id, last_epoch)
        self._client = client
        self._book = book
        self._monitor = monitor

    def _put(self, entry: Entry) -> None:
        self._book.guarded(self.run_id, entry, lambda: apply(self._client, self.run_id, entry))

    def end(self, status: str = "FINISHED") -> None:
        """Stop the system metrics and close the run."""
        if self._monitor is not None:
            self._monitor.finish()
            self._monitor = None
        super().end(status)


class MlflowTracker:
    """An MLflow store that is written to at once.

    Args:
        cfg: with the address and the experiment that are in force.
        outputs: where files go, and what the store refuses.
    """

    def __init__(self, cfg: TrackingConfig, outputs: Path) -> None:
        self._cfg = cfg
        self._uri = store_uri(cfg, outputs)
        make_store(self._uri)
        follow(self._uri, outputs)
        self._client = make_client(self._uri)
        place = (outputs / ARTIFACTS).absolute().as_uri()
        # Made before any worker starts: several processes migrating a fresh database at once fail.
        self._experiment = open_experiment(self._client, experiment_of(cfg), place)
        self.location = str(self._client.get_experiment(self._experiment).artifact_location)  # of its files
        self._book = Book(outputs / "tracking" / "store")

    def start(
        self, name: str, *, parent: str = "", tags: Mapping[str, str] | None = None, monitor: bool = False
    ) -> RunLog:
        """Start a run, as a child of `parent` where given, with system metrics where `monitor` is true."""
        entry, made = started(name, parent, tags or {}), [""]

        def make() -> list[Refused]:
            made[0] = create(self._client, self._experiment, entry, parent)
            return []

        self._book.guarded("", entry, make)
        return self._run(made[0], monitor)

    def resume(self, run_id: str, *, monitor: bool = False) -> RunLog:
        """Go on writing to an existing run; of one that the store does not have, everything is kept as refused."""
        if not run_id:
            return NullRun()
        entry: Entry = {"kind": "resume"}
        there = self._book.guarded(run_id, entry, lambda: _again(self._client, run_id))
        if not there:
            return self._run(run_id, monitor=False)
        last = max((m.step for m in self._client.get_metric_history(run_id, EPOCH_METRIC)), default=0)
        return self._run(run_id, monitor, last)

    def _run(self, run_id: str, monitor: bool, last_epoch: int = 0) -> MlflowRun:
        started_monitor = self._start_monitor(run_id) if monitor and run_id else None
        return MlflowRun(self._client, run_id, self._book, started_monitor, last_epoch)

    def is_open(self, run_id: str) -> bool:
        """Whether a run was not brought to its end: it counts as running, or was interrupted."""
        from mlflow.exceptions import MlflowException

        try:
            return bool(run_id) and self._client.get_run(run_id).info.status in UNENDED
        except MlflowException as error:
            if not is_refusal(error):
                raise
            return False  # another store's: there is nothing to close here

    def find(self, tag: str, value: str) -> str:
        """The id of the run with this tag; "" when there is none."""
        return search(self._client, self._experiment, tag, value)

    def end_run(self, run_id: str, status: str) -> None:
        """Close a run that is not at hand."""
        if run_id:
            MlflowRun(self._client, run_id, self._book).end(status)

    def attach(self, run_id: str, paths: Sequence[Path], folder: str) -> None:
        """Log files under a folder of a run that is at its end, and stays there."""
        if run_id:
            MlflowRun(self._client, run_id, self._book).files(paths, folder)

    def deliver(self, folder: Path, seconds: float = 60.0) -> int:
        """Nothing waits: every entry was written at once."""
        return 0

    def close(self, seconds: float = 60.0) -> None:
        """Nothing is left open; say how much was refused."""
        self._book.refusals.sum_up()

    def _start_monitor(self, run_id: str) -> Any:
        if not self._cfg.system_metrics:
            return None
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        monitor = SystemMetricsMonitor(
            run_id, sampling_interval=self._cfg.system_interval_s, resume_logging=True, tracking_uri=self._uri
        )
        monitor.start()
        return monitor


def _again(client: Any, run_id: str) -> list[Refused]:
    client.update_run(run_id, status="RUNNING")
    return []


def make_client(uri: str) -> Any:
    """A client of the store at `uri`, with MLflow's telemetry and chatter off."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    import mlflow

    _quiet()
    use(uri)
    return mlflow.MlflowClient(uri)


def preload() -> None:
    """Import what a store is written with: two seconds that a process may have to wait anyway."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401

    _quiet()


def search(client: Any, experiment: str, tag: str, value: str) -> str:
    """The id of an experiment's run with this tag; "" when there is none."""
    found = client.search_runs([experiment], f"tags.`{tag}` = '{value}'", max_results=1)
    return str(found[0].info.run_id) if found else ""


def make_store(uri: str) -> None:
    """Make a SQLite store that is not there yet, aside, and put it in place whole.

    MLflow makes its tables in some seventy steps. Killed among them, the file can neither be opened nor made again.
    """
    path = Path(uri.removeprefix("sqlite:///"))
    if not uri.startswith("sqlite:///") or path.exists() or not path.parent.is_dir():
        return
    aside = aside_of(path)
    try:
        make_client(f"sqlite:///{aside}").search_experiments(max_results=1)
        with contextlib.suppress(FileExistsError):  # another process was quicker
            os.link(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def open_experiment(client: Any, name: str, artifacts: str | None) -> str:
    """Id of the experiment called `name`, which is made where it is missing.

    Args:
        client: of the store.
        name: of the experiment.
        artifacts: where a new experiment keeps its files; None leaves that to the server.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is not None and found.lifecycle_stage == "deleted":
        raise UserError(
            "the MLflow experiment was deleted, and takes no runs until it is restored",
            value=name,
            remedy="tracking.experiment=ANOTHER, or restore it on MLflow's pages",
        )
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location=artifacts, tags=KIND))
        except MlflowException:
            found = client.get_experiment_by_name(name)  # another process was quicker
            if found is None:
                raise
    return str(found.experiment_id)


def _quiet() -> None:
    """Keep MLflow's chatter out of the terminal, and tracebacks of what it raises anyway; it sets levels on import."""
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in ("mlflow", "alembic")]
    for name in ("mlflow", "alembic", *names):
        logging.getLogger(name).setLevel(logging.CRITICAL)
