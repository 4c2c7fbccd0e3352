"""Leases: how a study knows that the worker of a running trial is alive.

Optuna sends no heartbeats for trials that are asked and told. A worker therefore writes a lease to its trial and
renews it; whoever finds a lease that is renewed no more takes the trial over. On the same machine nobody has to wait
for that: a process that is gone is seen at once.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from src.machine.environment import environment

LEASE_S = 90.0
RENEW_S = 20.0
FIRST_S = 15.0  # from the taking of a trial to its first lease, at most


@dataclass(frozen=True)
class Lease:
    """Who works on a trial, and until when that is believed."""

    host: str
    boot: str  # a process id means nothing after a restart of the machine
    pid: int
    started: int  # clock ticks since boot: a process id is used again
    expires: float  # seconds since the epoch, by the worker's clock: for people; what counts is that it changes

    @classmethod
    def own(cls, seconds: float = LEASE_S) -> Lease:
        """A lease of this process."""
        return cls(environment().host, _boot(), os.getpid(), _started(os.getpid()), time.time() + seconds)

    def is_near(self) -> bool:
        """Whether its worker is, or was, a process of this machine since its last start."""
        return bool(self.boot) and self.host == environment().host and self.boot == _boot()

    def process_lives(self) -> bool:
        """Whether the process of a worker that is near is still there."""
        return self.started == _started(self.pid)

    def plain(self) -> dict[str, Any]:
        """As kept in a trial's attributes."""
        return asdict(self)


class Sightings:
    """Judges the leases of a study's running trials.

    By this process's own clock alone: those of several machines differ, and the time of day jumps. A worker elsewhere
    counts as alive for `LEASE_S` after its lease was last seen to change.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[int, tuple[Lease | None, float]] = {}

    def held(self, trial: int, lease: Lease | None) -> bool:
        """Whether a worker is on a trial. Its first lease comes a moment after the trial was taken."""
        if lease is not None and lease.is_near():
            return lease.process_lives()
        before = self._seen.get(trial)
        if before is None or before[0] != lease:
            self._seen[trial] = (lease, self._clock())
            return True
        return self._clock() - before[1] < (LEASE_S if lease is not None else FIRST_S)


def read_lease(value: Any) -> Lease | None:
    """A lease from a trial's attributes; None when there is none that can be read."""
    try:
        return Lease(**value)
    except TypeError:
        return None


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _started(pid: int) -> int:
    """Start time of a process in clock ticks since boot; -1 when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return -1
    fields = text.rpartition(")")[2].split()
    return -1 if fields[0] == "Z" else int(fields[19])


class Renewal:
    """Renews a lease in the background while a trial runs.

    Args:
        write: stores a lease; its errors are left to the next turn, since a storage may be away for a while.
    """

    def __init__(self, write: Callable[[Lease], None], every: float = RENEW_S) -> None:
        self._write = write
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    def __enter__(self) -> Renewal:
        """Begin to renew."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Stop, and wait until no write is under way."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            try:
                self._write(Lease.own())
            # Whatever is wrong with the storage, the training must go on; the lease outlives several missed turns.
            except Exception:
                continue
