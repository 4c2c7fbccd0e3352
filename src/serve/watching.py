"""Joins the service and the monitoring: every answer is observed after it was given, in a thread of the readers."""

from __future__ import annotations

import dataclasses
import logging
import threading
from pathlib import Path

from src.inference import Detections
from src.monitor.drift import Comparison
from src.monitor.observer import Observer
from src.monitor.profile import NAME, Profile, load_profile
from src.predict.engine import Image
from src.serve.metrics import Metrics
from src.serve.model_source import Served
from src.serve.options import ServeArgs

log = logging.getLogger(__name__)


class Watcher:
    """An observer of one served model.

    Args:
        observer: keeps the log, and holds windows against the reference.
        metrics: shows what it finds.
    """

    def __init__(self, observer: Observer, metrics: Metrics) -> None:
        self._observer, self._metrics = observer, metrics
        self._counted: dict[str, float] = {}
        self._lock = threading.Lock()

    def observe(self, image: Image, found: Detections, latency_ms: float, source: str) -> None:
        """Note one answer; see `src.serve.state.Observer`."""
        ended = self._observer.observe(image, found, latency_ms, source)
        if ended is not None:
            self._metrics.watched(self._observer.gauges())
        self._count(self._observer.counts())

    def _count(self, counts: dict[str, float]) -> None:
        with self._lock:
            for what, count in counts.items():
                if (more := count - self._counted.get(what, 0.0)) > 0:
                    self._metrics.counted(what, more)
                    self._counted[what] = count

    def close(self) -> None:
        """Close the log."""
        self._observer.close()


def watcher_of(args: ServeArgs, metrics: Metrics, served: Served) -> Watcher | None:
    """The observer of a model; None where there is neither a log to write nor a reference to hold windows against.

    Args:
        args: of the service.
        metrics: shows what is found.
        served: the model.
    """
    folder = Path(args.monitor_log).expanduser() if args.monitor_log else None
    profile = profile_of(served)
    if folder is None and profile is None:
        return None
    settings = dataclasses.replace(args.monitor, workers=args.workers)
    return Watcher(Observer(profile, folder, settings, alarm, bgr=True), metrics)


def profile_of(served: Served) -> Profile | None:
    """The reference profile that a registered model was promoted with."""
    if served.folder is None:
        return None
    found = next(served.folder.rglob(NAME), None)
    return load_profile(found) if found is not None else None


def alarm(window: Comparison) -> None:
    """Say that a window has drifted."""
    log.warning("drift: %s", ", ".join(f.what for f in window.drifted))
