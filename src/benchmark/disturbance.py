"""What else took the processor while a block was timed: the cores' own counters, less what this process used.

`/proc/stat` counts for every core what ran on it and what the hypervisor took away (steal). What this process and its
children did not use of that, others did. It can't see everything: a neighbour on the other thread of the same core, a
shared cache or memory bus leave no trace here, but they do in the spread between rounds. Without these counters
nothing is known, which is not the same as quiet.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

LIMIT = 0.10  # share of the cores in use beyond which a block is contaminated; a tick of a short block is 1 to 5 %
SHORTEST_S = 0.2  # counters move in ticks of 10 ms: below, a single one would look like a neighbour
PROC = Path("/proc")


@dataclass(frozen=True)
class Reading:
    """Seconds that some cores counted, and that this process with its children used, up to one moment."""

    wall_s: float
    counted_s: float  # everything, idle time too: it stands still where the counters are for show
    busy_s: float  # whoever it was
    stolen_s: float  # by other virtual machines
    own_s: float


def read(cores: Iterable[int], proc: Path = PROC) -> Reading | None:
    """The counters of these cores now; None where they can't be read."""
    try:
        rows = _cores(proc)
        ours = [rows[core] for core in cores]
        sums = [sum(column) / os.sysconf("SC_CLK_TCK") for column in zip(*ours)]
        user, nice, system, idle, iowait, irq, softirq, steal = sums
        own = tree_cpu_s(proc)
    except (OSError, ValueError, KeyError):
        return None
    busy = user + nice + system + irq + softirq + steal
    return Reading(time.perf_counter(), busy + idle + iowait, busy, steal, own)


def _cores(proc: Path) -> dict[int, list[int]]:
    """user, nice, system, idle, iowait, irq, softirq, steal of every core, ticks (proc(5))."""
    rows = {}
    for line in (proc / "stat").read_text(encoding="ascii").splitlines():
        name, *values = line.split()
        if name.startswith("cpu") and name != "cpu":
            rows[int(name[3:])] = [int(v) for v in values[:8]]
    return rows


def tree_cpu_s(proc: Path = PROC) -> float:
    """Processor time of this process, of the children that ended and of all that descend from it, seconds."""
    times = os.times()
    total = time.process_time() + times.children_user + times.children_system
    parents: dict[int, list[tuple[int, float]]] = {}
    for entry in proc.iterdir():
        if entry.name.isdigit():
            parent, used = _process(entry)
            parents.setdefault(parent, []).append((int(entry.name), used))
    waiting = [os.getpid()]
    while waiting:
        for pid, used in parents.get(waiting.pop(), []):
            total += used
            waiting.append(pid)
    return total


def _process(entry: Path) -> tuple[int, float]:
    """Its parent, and seconds that it and its ended children used; (0, 0) when it has just ended."""
    try:
        # The name, in parentheses, may hold anything.
        words = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return int(words[1]), sum(map(int, words[11:15])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0, 0.0


def other_load_share(before: Reading | None, after: Reading | None, cores: int) -> float | None:
    """Share of the cores' time between two readings that others had; None where it can't be told."""
    if before is None or after is None:
        return None
    window = (after.wall_s - before.wall_s) * cores
    # In some sandboxes the counters are there, and stand still.
    if window < SHORTEST_S * cores or after.counted_s - before.counted_s < window / 2:
        return None
    stolen = after.stolen_s - before.stolen_s
    others = (after.busy_s - before.busy_s) - (after.own_s - before.own_s)
    # Some kernels count stolen time to the process that it was stolen from.
    return min(max(others, stolen, 0.0) / window, 1.0)
