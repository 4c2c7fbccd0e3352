"""A tracking server or database by `tracking.uri` (`http(s)://…`, `postgresql://…`): what can be away for a while.

Everything is put on disk first and sent behind the trials' backs.
A run that starts while the server is away gets an id of its own (`…-local-…`). When the server has the run, `known_as`
gives the server's id, and the run carries its own as the tag `detsweep.run`. User and password come from the
environment, as MLflow's client reads them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from src.common.errors import UserError
from src.common.hashes import hash_of
from src.common.redaction import redact_text
from src.config.schema import TrackingConfig
from src.track.bucket import check_location
from src.track.entries import EPOCH_METRIC, Recorder, started
from src.track.protocol import NullRun, RunLog
from src.track.refusals import Entry
from src.track.send import Sender, check_greeting
from src.track.server_ids import adopt
from src.track.spool import SYSTEM, Spool, SpooledFolder, is_local
from src.track.store import UNENDED, make_client, make_store, open_experiment, search
from src.track.store_location import ARTIFACTS, experiment_of, follow

log = logging.getLogger(__name__)

GREET_S = 2.0  # once, at the start: to know whether the server is there
ANSWER_S = 0.8  # at most, for a trial's run id
GONE_S = 1.0  # at the end, for a server that is away
# The library would wait 120 s for an answer and try again seven times, with pauses; and print two lines at every end.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def check_database(uri: str) -> None:
    """Look whether a database can be reached at all: MLflow would try for minutes.

    Raises:
        UserError: it can't.
    """
    from sqlalchemy import create_engine

    try:
        create_engine(uri).connect().close()
    except Exception as error:
        raise UserError(
            f"tracking.uri can't be opened ({type(error).__name__})",
            value=redact_text(uri),
            remedy="the address of a running server: postgresql+psycopg://… (make setup EXTRAS=postgresql)",
        ) from None


class SpooledRun(Recorder):
    """A run whose entries go to the spool."""

    def __init__(self, run_id: str, folder: SpooledFolder, sender: Sender, last_epoch: int = 0) -> None:
        super().__init__(run_id, last_epoch)
        self._folder = folder
        self._sender = sender
        self.sampler: Sampler | None = None

    def _put(self, entry: Entry) -> None:
        self._folder.append(self._folder.placed(entry))
        self._sender.wake()

    def end(self, status: str = "FINISHED") -> None:
        """Stop the system metrics and close the run."""
        if self.sampler is not None:
            self.sampler.stop()
            self.sampler = None
        super().end(status)


class Sampler:
    """Writes the machine's figures to a run at intervals: MLflow's own monitor asks the server at every turn."""

    def __init__(self, run: SpooledRun, interval_s: float, first_step: int) -> None:
        self._run, self._interval, self._step = run, interval_s, first_step
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="system-metrics", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait until no figure is being taken."""
        self._stop.set()
        self._thread.join()

    def _loop(self) -> None:
        monitors = _monitors()
        while not self._stop.wait(self._interval):
            values: dict[str, float] = {}
            for monitor in monitors:
                monitor.collect_metrics()
                values.update({SYSTEM + name: value for name, value in monitor.aggregate_metrics().items()})
                monitor.clear_metrics()
            try:
                self._run.metrics(values, self._step)
            except OSError:  # a full disk is the trial's to report
                return
            self._step += 1


def _monitors() -> list[Any]:
    """MLflow's own monitors of this machine."""
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    found: list[Any] = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
    with contextlib.suppress(Exception):  # no GPU, or no library to ask it with
        found.append(GPUMonitor())
    return found


class RemoteTracker:
    """A tracking server behind a spool.

    Raises:
        UserError: the server refuses the user or the password.
    """

    def __init__(self, cfg: TrackingConfig, outputs: Path) -> None:
        assert cfg.uri is not None
        self._cfg, self._uri, self._experiment = cfg, cfg.uri, experiment_of(cfg)
        for key, value in SETTINGS.items():
            os.environ.setdefault(key, value)
        if not cfg.uri.startswith("http"):
            make_store(cfg.uri)
            check_database(cfg.uri)
            follow(cfg.uri, outputs)
        client = make_client(cfg.uri)
        self.spool = Spool(outputs / "tracking" / hash_of([cfg.uri, self._experiment]))
        # A server says itself where files go; beside a database they stay in the folder that all machines share.
        files = cfg.artifacts or (None if cfg.uri.startswith("http") else (outputs / ARTIFACTS).absolute().as_uri())
        self._sender = Sender(self.spool, lambda: (client, self._opened(client, files)))
        self._sender.greet(GREET_S)
        if self._sender.away:
            try:
                check_greeting(self._sender.reason, cfg.uri)
            except Exception:
                self._sender.stop()
                raise
            log.warning(
                "tracking server %s: %s; records wait on disk and are sent when it is back",
                redact_text(cfg.uri),
                redact_text(str(self._sender.reason or "no answer yet"))[:200],
            )

    def _opened(self, client: Any, files: str | None) -> str:
        """Id of the experiment, which keeps its files where they can be sent."""
        experiment = open_experiment(client, self._experiment, files)
        check_location(client, experiment, self._cfg)
        return experiment

    def start(
        self, name: str, *, parent: str = "", tags: Mapping[str, str] | None = None, monitor: bool = False
    ) -> RunLog:
        """Start a run, as a child of `parent` where given, with system metrics where `monitor` is true."""
        folder = self.spool.create(started(name, parent, tags or {}))
        run_id = self._sender.start(folder, ANSWER_S)
        return self._run(run_id or folder.key, folder, monitor)

    def resume(self, run_id: str, *, monitor: bool = False) -> RunLog:
        """Go on writing to an existing run."""
        if not run_id:
            return NullRun()
        folder = self._known(run_id)
        folder.append({"kind": "resume"})
        return self._run(run_id, folder, monitor, folder.now().steps.get(EPOCH_METRIC, 0))

    def attach(self, run_id: str, paths: Sequence[Path], folder: str) -> None:
        """Log files under a folder of a run that is at its end, and stays there."""
        if run_id:
            SpooledRun(run_id, self._known(run_id), self._sender).files(paths, folder)

    def _known(self, run_id: str) -> SpooledFolder:
        folder = self.spool.find(run_id)
        if folder is None:  # written by another machine, or straight into the server's database
            folder = self.spool.adopt(run_id)
            state = folder.state()
            history = self._sender.ask(lambda c: c.get_metric_history(run_id, EPOCH_METRIC), [], ANSWER_S)
            state.steps[EPOCH_METRIC] = max((m.step for m in history), default=0)
            folder.save(state)
        return folder

    def _run(self, run_id: str, folder: SpooledFolder, monitor: bool, last_epoch: int = 0) -> SpooledRun:
        run = SpooledRun(run_id, folder, self._sender, last_epoch)
        if monitor and self._cfg.system_metrics:
            first = folder.now().steps.get(SYSTEM, -1) + 1
            run.sampler = Sampler(run, self._cfg.system_interval_s, first)
        return run

    def is_open(self, run_id: str) -> bool:
        """Whether a run was not brought to its end, once everything that waits has been sent."""
        folder = self.spool.find(run_id) if run_id else None
        if folder is not None:
            return folder.now().open
        return bool(run_id) and self._sender.ask(lambda c: c.get_run(run_id).info.status in UNENDED, False, ANSWER_S)

    def find(self, tag: str, value: str) -> str:
        """The id of the run with this tag, also of one that the server has yet to hear of; "" when there is none."""
        for folder in self.spool.waiting():
            for entry, _ in folder.entries():
                if entry["kind"] == "start" and entry["tags"].get(tag) == value:
                    return folder.state().run_id or folder.key

        def ask(client: Any) -> str:
            return search(client, open_experiment(client, self._experiment, None), tag, value)

        return str(self._sender.ask(ask, "", ANSWER_S))

    def end_run(self, run_id: str, status: str) -> None:
        """Close a run that is not at hand."""
        self.resume(run_id).end(status)

    def known_as(self, run_id: str) -> str:
        """The server's id of a run that was started while the server was away; any other id comes back as it is."""
        folder = self.spool.find(run_id) if is_local(run_id) else None
        return (folder.state().run_id if folder else "") or run_id

    def deliver(self, folder: Path, seconds: float = 60.0) -> int:
        """Send what waits on disk, as long as the server takes it, and return how many entries are left."""
        left = self._sender.drain(seconds, GONE_S)
        adopt(folder, self.known_as)
        return left

    def close(self, seconds: float = 60.0) -> None:
        """Send what waits, say what is left, and stop."""
        left = self._sender.drain(seconds, GONE_S)
        self._sender.stop()
        self._sender.refusals.sum_up()
        if left:
            log.warning(
                "%d entries wait in %s for the tracking server; the same command sends them, or python -m src.track",
                left,
                self.spool.root,
            )
