"""What Prometheus reads: requests, latency, queue, batches, detections, and which model is served."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from src.serve.model_source import Served

SHARED = "PROMETHEUS_MULTIPROC_DIR"  # where several processes keep their numbers together
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
COUNTS = (0, 1, 2, 5, 10, 20, 50, 100, 300)


class Metrics:
    """The instruments of one process; several processes share a folder that `SHARED` names."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._registry = own = CollectorRegistry()
        self.requests = Counter("detsweep_requests", "Requests by path and status", ["path", "status"], registry=own)
        self.latency = Histogram(
            "detsweep_request_seconds", "From arrival to answer", ["path"], buckets=SECONDS, registry=own
        )
        self.network = Histogram("detsweep_network_seconds", "Network and suppression", buckets=SECONDS, registry=own)
        self.batch = Histogram("detsweep_batch_size", "Pictures in a call", buckets=(1, 2, 4, 8, 16, 32), registry=own)
        self.found = Histogram("detsweep_detections", "Detections in a picture", buckets=COUNTS, registry=own)
        self.waiting = Gauge("detsweep_queue", "Pictures that wait", registry=own, multiprocess_mode="livesum")
        self.model = Gauge(
            "detsweep_model", "1 for the model that is served", ["name", "version"], registry=own,
            multiprocess_mode="livemax",
        )  # fmt: skip
        self.monitor = Gauge(
            "detsweep_monitor", "What the latest window of the monitoring says", ["what"], registry=own,
            multiprocess_mode="livemax",
        )  # fmt: skip
        self.watch = Counter("detsweep_watched", "Counts of the monitoring since the start", ["what"], registry=own)
        self.failures = Counter("detsweep_exchange_failures", "Looks at the alias that failed", registry=own)

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count one request."""
        self.requests.labels(path, str(status)).inc()
        if status < 400:
            self.latency.labels(path).observe(seconds)

    def called(self, pictures: int, seconds: float) -> None:
        """Count one call of the network."""
        self.batch.observe(pictures)
        self.network.observe(seconds)

    def serves(self, served: Served, instead_of: Served | None = None) -> None:
        """Note that a model is served from now on, and which one it takes the place of."""
        if instead_of is not None:
            self.model.labels(instead_of.name, instead_of.version).set(0)
        self.model.labels(served.name, served.version).set(1)

    def watched(self, gauges: Mapping[str, float]) -> None:
        """Show what a window of the monitoring says."""
        for what, value in gauges.items():
            self.monitor.labels(what).set(value)

    def counted(self, what: str, more: float) -> None:
        """Count what the monitoring did: images, windows, alarms, or lines of the log that could not be written."""
        self.watch.labels(what).inc(more)

    def failed_exchange(self) -> None:
        """Count one."""
        self.failures.inc()

    def text(self) -> tuple[bytes, str]:
        """All numbers in Prometheus' form, of all processes, and the type of that form."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector  # type: ignore[attr-defined,unused-ignore]

        registry: Any = self._registry
        if SHARED in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        return generate_latest(registry), CONTENT_TYPE_LATEST


def forget(pid: int | None) -> None:
    """Leave out what a process that died says of now; what it counted still counts."""
    if (folder := os.environ.get(SHARED)) and pid is not None:
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(pid, folder)  # type: ignore[no-untyped-call,unused-ignore]
