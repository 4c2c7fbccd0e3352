"""What a run on a device says: what it will do and how long that takes, and in the end what it found."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from typing import TextIO

from src.benchmark.bundle.plan import Candidate, Plan
from src.benchmark.bundle.results import Problem
from src.benchmark.rounds import clock
from src.benchmark.stats import summarise
from src.benchmark.summary import Blocks
from src.records.schema import Environment

START_S = 1.5  # of a process: Python, numpy, the engine and the file
ACCURACY = 1.3  # times the latency: what a picture of the accuracy check takes beside the engine's call


def introduction(plan: Plan, machine: Environment) -> list[str]:
    """What this is, and where it runs."""
    runtimes = ", ".join(dict.fromkeys(c.runtime for c in plan.candidates))
    images = f"{len(plan.pictures)} of {plan.images_in_split} images of {plan.split}"
    memory = f", {machine.memory_gb:.1f} GB" if machine.memory_gb else ""
    return [
        f"bundle of sweep {plan.sweep}, made {plan.made_at}: {len(plan.candidates)} candidates on {runtimes}; {images}",
        f"here: {machine.cpu}, {machine.cores} cores{memory}, {machine.platform}, Python {machine.python}",
    ]


def estimate_lines(plan: Plan, here: Sequence[Candidate]) -> list[str]:
    """What will be done and how long it takes, in as much as that is known beforehand."""
    times = plan.times
    least, most = (sum(_candidate_s(plan, c, slow) for c in here) for slow in (False, True))
    extra = f", and up to {clock(times.extra_seconds)} min more for precision" if times.extra_seconds else ""
    return [
        f"1. accuracy: {len(here)} candidates × {len(plan.pictures)} pictures",
        f"2. latency: {times.rounds} interleaved rounds of {len(here)} candidates, each block a process of its own",
        f"{clock(least)} min where this machine is as fast as the one that packed it, at most {clock(most)} min{extra};"
        " Ctrl-C stops, and the same command goes on",
    ]


def _candidate_s(plan: Plan, candidate: Candidate, slow: bool) -> float:
    """Seconds that a candidate takes, at the speed of the machine that packed or with every block at its limit."""
    times, ms = plan.times, candidate.p50_ms or 10.0
    parts = len(times.batches) + bool(plan.ring)
    samples = max(times.min_samples / times.rounds * ms / 1000, times.min_seconds / times.rounds)
    block = (
        1.5 * times.max_seconds * parts if slow else min(samples, times.max_seconds) * parts + times.warmup * ms / 500
    )
    accuracy = len(plan.pictures) * (10.0 if slow else ACCURACY * ms / 1000)
    return (START_S + accuracy) + times.rounds * (START_S + block)


def table(done: Sequence[Blocks], problems: Sequence[Problem]) -> list[str]:
    """The medians, fastest first, and what did not happen."""
    rows = [(summarise(block.samples(part)), block, part) for block in done for part in block.parts()]
    lines = [f"{'p50 ms':>9} {'p95 ms':>9}  candidate"] if rows else []
    for latency, block, part in sorted(rows, key=lambda row: (row[2].partition("/")[0] != "model_only", row[0].p50)):
        p95 = "" if latency.p95 is None else f"{latency.p95:.2f}"
        lines.append(f"{latency.p50:>9.2f} {p95:>9}  {block.label} · {block.target} · {part}")
    return lines + [f"skipped {p.target} ({p.stage}): {p.message}" for p in problems]


def say(text: str) -> None:
    """Print a line at once, on whatever terminal there is; nothing where there is none.

    Raises:
        BrokenPipeError: nobody reads it any more.
    """
    stream: TextIO | None = sys.stdout  # None without a console, or when it was closed
    if stream is None:
        return
    encoding = stream.encoding or "ascii"
    try:
        print(text.encode(encoding, "replace").decode(encoding), file=stream, flush=True)
    except OSError as error:
        if error.errno == errno.EINVAL:  # how Windows tells of it
            raise BrokenPipeError(errno.EPIPE, "nobody reads the output") from None
        raise
