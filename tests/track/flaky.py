"""An MLflow store that can be away: a client of a real SQLite store with faults in front of it."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from src.config.schema import TrackingConfig


class FlakyClient:
    """Passes calls on to a real client, or fails as its `mode` says.

    Modes: `up`; `down` (fails at once); `hang` (answers after a long while, and fails); `lost` (does what it is
    asked, and then the answer is lost); `refuse` (metrics are refused for good).
    """

    def __init__(self, database: Path) -> None:
        self.real: Any = MlflowClient(f"sqlite:///{database}")
        self.mode = "up"
        self.calls: list[str] = []
        self.askers: set[str] = set()  # names of the threads that called
        self.release = threading.Event()

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(name)
            self.askers.add(threading.current_thread().name)
            if self.mode == "down":
                raise MlflowException("connection refused")
            if self.mode == "hang":
                self.release.wait(60)
                raise MlflowException("timed out")
            if self.mode == "refuse" and kwargs.get("metrics"):
                raise MlflowException("no such metric", error_code=INVALID_PARAMETER_VALUE)
            answer = getattr(self.real, name)(*args, **kwargs)
            if self.mode == "lost":
                raise MlflowException("timed out")
            return answer

        return call

    def runs(self) -> list[Any]:
        """Every run of the store, by name, the one called `sweep` first."""
        (experiment,) = self.real.search_experiments(filter_string="name = 'detsweep'")
        found = self.real.search_runs([experiment.experiment_id])
        return sorted(found, key=lambda run: (run.info.run_name != "sweep", run.info.run_name))

    def history(self, run_id: str, key: str) -> list[tuple[int, float]]:
        """Steps and values of a metric."""
        return [(m.step, m.value) for m in self.real.get_metric_history(run_id, key)]


def make_database(folder: Path) -> Path:
    """A fresh store; making its tables takes seconds."""
    client: Any = MlflowClient(f"sqlite:///{folder / 'server.db'}")
    client.create_experiment("detsweep", artifact_location=(folder / "files").as_uri())
    return folder / "server.db"


def config() -> TrackingConfig:
    """A server's address that nobody asks: the client is replaced."""
    return TrackingConfig(name="server", uri="http://tracking.invalid", system_metrics=False)


def until(ready: Any, seconds: float = 20.0) -> None:
    """Wait for something that another thread does."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.01)
