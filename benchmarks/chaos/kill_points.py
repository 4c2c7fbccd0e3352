"""Named moments: places in a running sweep that are noted when they are reached, and where a fault may strike.

A control folder, named by `DETSWEEP_CHAOS`, holds `moments.log` (a line for every moment reached: process, moment),
`fault.json` (what shall strike next) and `fired-<id>` (that it did, and in which process).
"""

from __future__ import annotations

import functools
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

VARIABLE = "DETSWEEP_CHAOS"
PHASES = ("opening", "trials", "finalists", "report")
RETRY_S = 20.0  # a process waits so long at a moment for a signal that the harness sends


@dataclass(frozen=True)
class Fault:
    """One kill: when, how, and whom."""

    number: int
    phase: str  # opening, trials, finalists or report
    moment: str  # "" = a random time
    nth: int  # time that a process reaches the moment
    delay_s: float  # after the phase's begin, where there is no moment
    signal: str  # SIGKILL, SIGTERM, SIGINT; SIGINT twice is SIGINT2
    scope: str  # self = the process that reaches the moment, main, all

    def save(self, folder: Path) -> None:
        """Arm it: running processes notice."""
        aside = folder / f".fault.{os.getpid()}"
        aside.write_text(json.dumps(asdict(self)), encoding="utf-8")
        aside.replace(folder / "fault.json")


class KillPoints:
    """The moments of this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen: Counter[str] = Counter()
        self._fault: Fault | None = None
        self._stamp = 0

    def reached(self, name: str) -> None:
        """Note a moment; strike if the armed fault says so."""
        self._note(name)
        if self.due(name):
            self._strike()

    def armed(self, name: str) -> bool:
        """Whether the fault is one for this moment: some moments have to be prepared."""
        self._read()
        return self._fault is not None and self._fault.moment == name

    def due(self, name: str) -> bool:
        """Whether the fault strikes now."""
        if self._is_too_late(name):
            return self._fault is not None and self._claim(self._fault, name)
        if not self.armed(name) or self._fault is None:
            return False
        self._seen[name] += 1
        return self._seen[name] >= self._fault.nth and self._claim(self._fault, name)

    def _is_too_late(self, name: str) -> bool:
        """Whether the phase of the armed fault is over: it strikes as the next one begins, so none is wasted."""
        self._read()
        if self._fault is None or not self._fault.moment or not name.startswith("phase ") or "before" not in name:
            return False
        return PHASES.index(name.split()[1]) > PHASES.index(self._fault.phase)

    def _note(self, name: str) -> None:
        line = f"{os.getpid()}\t{name}\n".encode()
        handle = os.open(self.folder / "moments.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, line)
        finally:
            os.close(handle)

    def _read(self) -> None:
        path = self.folder / "fault.json"
        try:
            stamp = path.stat().st_mtime_ns
            if stamp != self._stamp:
                self._fault, self._stamp = Fault(**json.loads(path.read_text(encoding="utf-8"))), stamp
                self._seen.clear()
        except OSError:
            self._fault = None

    def _claim(self, fault: Fault, name: str) -> bool:
        try:
            handle = os.open(self.folder / f"fired-{fault.number}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            return False
        os.write(handle, f"{os.getpid()}\t{name}".encode())
        os.close(handle)
        return True

    def _strike(self) -> None:
        fault = self._fault
        assert fault is not None
        if fault.scope == "self":
            os.kill(os.getpid(), getattr(signal, fault.signal.rstrip("2")))
            return
        # The harness sends the signal while this process stands exactly here.
        end = time.monotonic() + RETRY_S
        while time.monotonic() < end and not (self.folder / f"struck-{fault.number}").exists():
            time.sleep(0.005)


def around(owner: Any, name: str, kill_points: KillPoints, label: Callable[..., str] | str) -> None:
    """Wrap a function of `owner` so that a moment is reached before and after every call.

    Args:
        owner: module or class.
        name: of the function.
        moments: of this process.
        label: name of the moment, or a function of the call's arguments that gives it.
    """
    inner = getattr(owner, name)

    @functools.wraps(inner)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        title = label if isinstance(label, str) else label(*args, **kwargs)
        kill_points.reached(f"{title} · before")
        result = inner(*args, **kwargs)
        kill_points.reached(f"{title} · after")
        return result

    setattr(owner, name, wrapped)
