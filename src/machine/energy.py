"""Energy that a stage of work took, from the counters of the processor (RAPL) and of NVIDIA GPUs (NVML).

A counter covers its whole package or card, whoever uses it: what else runs on the machine is counted too. Where there
is no counter, or it may not be read (Linux gives RAPL to root alone unless told otherwise), nothing is reported:
a missing figure means "not established", never 0.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

log = logging.getLogger(__name__)

POWERCAP = Path("/sys/class/powercap")
LOOK_EVERY_S = 60.0  # a RAPL counter wraps after 262 kJ or less, which a large processor takes about ten minutes for


class Counter(Protocol):
    """Counts joules since some moment."""

    @property
    def name(self) -> str:
        """Which part of the machine it counts."""

    def read(self) -> float:
        """Joules; raises OSError where the counter can't be read."""

    def since(self, earlier: float, now: float) -> float:
        """Joules between two readings."""


@dataclass(frozen=True)
class Rapl:
    """One RAPL domain of the Linux powercap tree."""

    name: str  # package-0, dram-0, …
    file: Path
    range_j: float  # where the counter starts again at 0

    def read(self) -> float:
        """Joules since some moment."""
        return int(self.file.read_text(encoding="ascii")) / 1e6

    def since(self, earlier: float, now: float) -> float:
        """Joules between two readings; one wrap is undone."""
        return now - earlier if now >= earlier else now - earlier + self.range_j


@dataclass(frozen=True)
class Nvml:
    """Energy of one NVIDIA GPU since its driver was loaded (Volta and later)."""

    name: str  # gpu-0, …
    handle: Any

    def read(self) -> float:
        """Joules since the driver was loaded."""
        import pynvml

        try:
            return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(self.handle)) / 1e3
        except pynvml.NVMLError as error:
            raise OSError(str(error)) from None

    def since(self, earlier: float, now: float) -> float:
        """Joules between two readings."""
        return now - earlier


def rapl_counters(root: Path = POWERCAP) -> list[Rapl]:
    """The readable domains that don't hold one another: packages, and memory where it is apart.

    Cores and graphics are parts of their package; `intel-rapl-mmio` shows the packages a second time.
    """
    found = []
    for folder in sorted(root.glob("intel-rapl:*")):
        with contextlib.suppress(OSError, ValueError):
            name = (folder / "name").read_text(encoding="ascii").strip()
            top = folder.name.count(":") == 1
            if (top and name.startswith("package")) or name == "dram":
                label = name if top else f"dram-{folder.name.split(':')[1]}"
                limit = int((folder / "max_energy_range_uj").read_text(encoding="ascii")) / 1e6
                counter = Rapl(label, folder / "energy_uj", limit)
                counter.read()
                found.append(counter)
    return found


@functools.cache
def nvml_counters() -> tuple[Nvml, ...]:
    """The GPUs of this machine that count their energy; those that CUDA_VISIBLE_DEVICES hides are left out."""
    try:
        import pynvml

        pynvml.nvmlInit()
        numbers = range(pynvml.nvmlDeviceGetCount())
        found = [Nvml(f"gpu-{i}", pynvml.nvmlDeviceGetHandleByIndex(i)) for i in numbers if _visible(i)]
    except Exception:  # no driver, no library, or one that is too old: all the same here
        return ()
    return tuple(counter for counter in found if _readable(counter))


def _visible(number: int) -> bool:
    words = os.environ.get("CUDA_VISIBLE_DEVICES")
    if words is None or not all(word.strip().isdigit() for word in words.split(",")):
        return words is None or bool(words.strip())  # names of devices: all are counted
    return number in {int(word) for word in words.split(",")}


def _readable(counter: Counter) -> bool:
    try:
        counter.read()
    except OSError:
        return False
    return True


def counters(*, gpu: bool) -> list[Counter]:
    """What can be read here. GPUs count only for work that uses them: an idle card takes energy too."""
    return [*rapl_counters(), *(nvml_counters() if gpu else ())]


@dataclass
class Meter:
    """Adds up joules by counter while it is entered; entered again, it goes on."""

    counters: list[Counter]
    joules: dict[str, float] = field(default_factory=dict)
    every: float = LOOK_EVERY_S

    def __enter__(self) -> Meter:
        """Begin to count."""
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._last: dict[str, float] = {}
        self._look()
        self._thread = threading.Thread(target=self._watch, name="energy", daemon=True)
        if self.counters:
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Count up to now."""
        self._stop.set()
        if self.counters:
            self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._stop.wait(self.every):
            self._look()

    def _look(self) -> None:
        with self._lock:
            for counter in list(self.counters):
                try:
                    now = counter.read()
                except (OSError, ValueError) as lost:
                    # A sum with a hole in it would be too low: better none at all.
                    log.warning("energy counter %s is lost: %s", counter.name, lost)
                    self.counters.remove(counter)
                    self.joules.pop(counter.name, None)
                    continue
                if counter.name in self._last:
                    spent = counter.since(self._last[counter.name], now)
                    self.joules[counter.name] = round(self.joules.get(counter.name, 0.0) + spent, 3)
                self._last[counter.name] = now


@contextlib.contextmanager
def metered(*, gpu: bool, into: dict[str, float]) -> Iterator[None]:
    """Add the joules of a block to `into`, by counter; nothing is added where there are no counters."""
    with Meter(counters(gpu=gpu), into):
        yield
