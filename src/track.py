"""Logs to MLflow: the only module that talks to it.

Every write goes through `MlflowClient` with an explicit run id, so that no global "active run" can be left open and
several runs can be written side by side. `NullTracker` stands in where tracking is switched off. Secrets are masked
before anything leaves the process.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from src.config import TrackingConfig
from src.errors import UserError
from src.records import DatasetRef
from src.redact import redact, redact_text

log = logging.getLogger(__name__)

EPOCH_METRIC = "lr"  # logged once an epoch: its last step is the last epoch that arrived
PARAM_LENGTH = 6000  # MLflow's limit on a parameter's value


class RunLog(Protocol):
    """One run that is being written."""

    run_id: str
    last_epoch: int  # highest epoch that was logged before this process took the run over; 0 for a new run

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Log finite metrics at a step; others are left out."""

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
        """Whether a run still counts as running."""


class NullRun:
    """A run that keeps nothing."""

    run_id = ""
    last_epoch = 0

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
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


class MlflowRun:
    """A run in an MLflow store."""

    def __init__(self, client: Any, run_id: str, monitor: Any = None, last_epoch: int = 0) -> None:
        self.run_id = run_id
        self.last_epoch = last_epoch
        self._client = client
        self._monitor = monitor

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Log finite metrics in one batch: a call each would cost a hundred times more on SQLite."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        batch = [Metric(k, float(v), now, step) for k, v in values.items() if math.isfinite(v)]
        self._client.log_batch(self.run_id, metrics=batch)

    def params(self, values: Mapping[str, Any]) -> None:
        """Log flattened parameters, secrets masked."""
        from mlflow.entities import Param

        flat = flatten(redact(dict(values)))
        self._client.log_batch(self.run_id, params=[Param(k, str(v)[:PARAM_LENGTH]) for k, v in flat.items()])

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags, secrets masked."""
        from mlflow.entities import RunTag

        self._client.log_batch(self.run_id, tags=[RunTag(k, redact_text(str(v))) for k, v in values.items()])

    def dataset(self, ref: DatasetRef) -> None:
        """Log the dataset as the run's input, with its fingerprint as the digest."""
        import json

        from mlflow.entities import Dataset, DatasetInput, InputTag

        splits = {name: value[:16] for name, value in ref.split_fingerprints.items()}
        profile = json.dumps({"images": ref.split_sizes, "classes": len(ref.class_names), "fingerprints": splits})
        entity = Dataset(
            name=ref.name, digest=ref.fingerprint[:36], source_type="local", source=ref.name, profile=profile
        )
        self._client.log_inputs(self.run_id, [DatasetInput(entity, [InputTag("mlflow.data.context", "training")])])

    def files(self, paths: Sequence[Path], folder: str) -> None:
        """Log files as artifacts under a folder of the run."""
        for path in paths:
            self._client.log_artifact(self.run_id, str(path), folder)

    def folder(self, path: Path, folder: str) -> None:
        """Log a folder's files, with their tree, under a folder of the run."""
        self._client.log_artifacts(self.run_id, str(path), folder)

    def end(self, status: str = "FINISHED") -> None:
        """Stop the system metrics and close the run."""
        if self._monitor is not None:
            self._monitor.finish()
            self._monitor = None
        self._client.set_terminated(self.run_id, status)


class MlflowTracker:
    """An MLflow store: a SQLite file by default, a server by its address."""

    def __init__(self, cfg: TrackingConfig, outputs: Path) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
        import mlflow

        _quiet()
        self._cfg = cfg
        self._uri = store_uri(cfg, outputs)
        mlflow.set_tracking_uri(self._uri)
        self._client = mlflow.MlflowClient(self._uri)
        self._experiment = self._open_experiment(outputs)

    def _open_experiment(self, outputs: Path) -> str:
        # Made before any worker starts: several processes migrating a fresh database at once fail.
        found = self._client.get_experiment_by_name(self._cfg.experiment)
        if found is not None:
            return str(found.experiment_id)
        place = None if self._uri.startswith("http") else (outputs / "mlartifacts").absolute().as_uri()
        return str(self._client.create_experiment(self._cfg.experiment, artifact_location=place))

    def start(
        self, name: str, *, parent: str = "", tags: Mapping[str, str] | None = None, monitor: bool = False
    ) -> RunLog:
        """Start a run, as a child of `parent` where given, with system metrics where `monitor` is true."""
        all_tags = {"mlflow.source.name": "detsweep", **(tags or {})}
        if parent:
            all_tags["mlflow.parentRunId"] = parent
        masked = {key: redact_text(value) for key, value in all_tags.items()}
        run = self._client.create_run(self._experiment, tags=masked, run_name=redact_text(name))
        run_id = str(run.info.run_id)
        return MlflowRun(self._client, run_id, self._start_monitor(run_id) if monitor else None)

    def resume(self, run_id: str, *, monitor: bool = False) -> RunLog:
        """Go on writing to an existing run."""
        if not run_id:
            return NullRun()
        self._client.update_run(run_id, status="RUNNING")
        last = max((m.step for m in self._client.get_metric_history(run_id, EPOCH_METRIC)), default=0)
        return MlflowRun(self._client, run_id, self._start_monitor(run_id) if monitor else None, last)

    def is_open(self, run_id: str) -> bool:
        """Whether a run still counts as running."""
        return bool(run_id) and self._client.get_run(run_id).info.status == "RUNNING"

    def _start_monitor(self, run_id: str) -> Any:
        if not self._cfg.system_metrics:
            return None
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        monitor = SystemMetricsMonitor(
            run_id, sampling_interval=self._cfg.system_interval_s, resume_logging=True, tracking_uri=self._uri
        )
        monitor.start()
        return monitor


def _quiet() -> None:
    """Keep MLflow's chatter (migrations, monitor start and stop) out of the terminal; it sets its levels on import."""
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in ("mlflow", "alembic")]
    for name in ("mlflow", "alembic", *names):
        logging.getLogger(name).setLevel(logging.ERROR)


def store_uri(cfg: TrackingConfig, outputs: Path) -> str:
    """Address of the store: as configured, else a SQLite file under the outputs folder.

    Raises:
        UserError: a scheme that MLflow no longer takes.
    """
    if cfg.uri is None:
        outputs.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{(outputs / 'mlflow.db').absolute()}"
    if not cfg.uri.startswith(("http://", "https://", "sqlite:///", "postgresql", "mysql")):
        raise UserError(
            "tracking.uri is no store that MLflow writes to",
            value=redact_text(cfg.uri),
            remedy="tracking.uri=sqlite:///FILE, http://HOST:PORT or postgresql://…; leave it out for a local file",
        )
    return cfg.uri


def open_tracker(cfg: TrackingConfig, outputs: Path) -> Tracker:
    """The tracker that the configuration asks for."""
    return MlflowTracker(cfg, outputs) if cfg.enabled else NullTracker()


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings to dotted keys; lists stay values."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
