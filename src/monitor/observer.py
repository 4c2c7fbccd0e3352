"""What a service calls for every answer: notes it, writes it down, holds each window against the reference.

    observer = Observer(load_profile(path), folder, settings)
    observer.observe(picture, detections, latency_ms=12.3, source="gate 4")
    observer.counts(), observer.gauges()      # numbers for /metrics

It may be called from several threads. What it writes down is enough to make every window again, so nothing else is kept
on the disk. A full disk stops the log, not the service.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from src.monitor.drift import Comparison, compare
from src.monitor.features import Detected, Observation, Seen, features, observation
from src.monitor.log import Log
from src.monitor.profile import Profile
from src.monitor.settings import MonitorConfig, check
from src.monitor.windows import Windows

log = logging.getLogger(__name__)
Picture = NDArray[np.uint8]


class Observer:
    """Watches one model in one process.

    Args:
        profile: the reference; None only writes the log.
        folder: of the log; None writes none.
        settings: where several processes watch one service, `workers` says how many.
        alarm: called with every window that has drifted.
        bgr: pictures come as blue, green, red.

    Raises:
        UserError: a setting makes no sense.
    """

    def __init__(
        self,
        profile: Profile | None,
        folder: Path | None,
        settings: MonitorConfig | None = None,
        alarm: Callable[[Comparison], None] | None = None,
        bgr: bool = False,
    ) -> None:
        self.settings = settings or MonitorConfig()
        check(self.settings)
        self.profile = profile
        self.latest: Comparison | None = None
        self.windows = self.alarms = self.images = self.unwritten = 0
        self._alarm, self._bgr = alarm, bgr
        self._log = Log(folder, self.settings) if folder else None
        self._open = Windows(self.settings)
        self._lock = threading.Lock()

    def observe(
        self,
        picture: Picture | Mapping[str, float],
        detections: Detected,
        latency_ms: float = math.nan,
        source: str = "",
        when: float | None = None,
        key: str = "",
    ) -> Comparison | None:
        """Note one answer; returns the comparison of the window that it ended, if it ended one.

        Args:
            picture: uint8 [h, w, 3], or what `features` said of it.
            detections: `scores` [n] and `classes` [n] at the threshold in use.
            latency_ms: of this answer, in the scope that the promise is about.
            source: camera, site or client.
            when: seconds since 1970; None = now.
            key: what the image is known by.
        """
        own = picture if isinstance(picture, Mapping) else features(picture, bgr=self._bgr)
        seen = Seen(time.time() if when is None else when, source, key, latency_ms)
        with self._lock:
            one = observation(own, detections, seen, self._keep(picture))
            self._write(one)
            self.images += 1
            window = self._open.add(one)
        if window is None or self.profile is None:
            return None
        per_day = self.settings.false_alarms_per_day / self.settings.workers
        return self._note(compare(self.profile, window, per_day))

    def counts(self) -> dict[str, float]:
        """What was done since the start, by name."""
        return {
            "images": float(self.images),
            "windows": float(self.windows),
            "alarms": float(self.alarms),
            "unwritten": float(self.unwritten),
        }

    def gauges(self) -> dict[str, float]:
        """What the latest window says, by name: `size:…` and `drifted:…`."""
        found: dict[str, float] = {}
        for f in self.latest.findings if self.latest else ():
            found |= {f"size:{f.what}": f.size, f"drifted:{f.what}": float(f.drifted)}
        return found

    def close(self) -> None:
        """Close the log."""
        if self._log:
            self._log.close()

    def _note(self, compared: Comparison) -> Comparison:
        with self._lock:
            self.latest = compared
            self.windows += 1
            self.alarms += len(compared.drifted)
        if compared.drifted and self._alarm:
            self._alarm(compared)
        return compared

    def _keep(self, picture: Picture | Mapping[str, float]) -> str:
        if self._log is None or isinstance(picture, Mapping):
            return ""
        try:
            return self._log.keep_picture(picture, bgr=self._bgr)
        except OSError as error:
            self._failed(error)
            return ""

    def _write(self, one: Observation) -> None:
        if self._log is None:
            return
        try:
            self._log.write(one)
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> None:
        self.unwritten += 1
        if self.unwritten == 1:
            log.warning("observations can't be written any more (%s); the service goes on", error)
