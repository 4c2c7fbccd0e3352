"""Time calls of one session: cold call, warm-up until stable, then the samples.

Inputs come from a ring of different images, so that nothing is answered from a cache, and the outputs of timed calls
are kept and compared with those of the first pass: a fast wrong answer is no answer.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from src.benchmark import disturbance
from src.common.samples import effective_samples
from src.inference import Detector, Float, decode_image
from src.inference.tiles import TiledDetector
from src.machine.energy import metered
from src.machine.environment import cores
from src.records.tiling import Tiling

RING = 8  # different inputs
WARMUP_CAP = 20  # warm-up stops after so many times the asked calls, stable or not
MAX_SAMPLES = 5_000  # of one block: more say nothing new, and the raw samples are kept
STAGES = ("preprocess", "inference", "postprocess")  # of a call from file to boxes
STABLE = 0.05  # medians of two warm-up windows this close are stable
OUTPUT_TOLERANCE = 1e-3  # of the largest output: parallel sums may differ in their last digits


class Runs(Protocol):
    """The part of a session that is timed."""

    def run(self, x: Float) -> list[Float]:
        """Run one batch."""
        ...


@dataclass(frozen=True)
class TimingPlan:
    """How long one block measures."""

    warmup: int
    min_samples: int
    min_seconds: float
    max_seconds: float
    most: int = 1  # times `min_samples`, where calls are worth less than so many independent ones

    def for_batch(self, batch: int) -> TimingPlan:
        """The same for a larger batch: a call takes longer and says more, so that fewer are needed."""
        samples = max(-(-self.min_samples // batch), min(self.min_samples, 8))
        return replace(self, warmup=max(self.warmup // batch, 2), min_samples=samples)


@dataclass
class Timed:
    """Samples of one block, ms per call."""

    samples_ms: list[float]
    warmup_calls: int
    outputs_equal: bool
    digest: list[list[float]]  # per input of the ring: sum and largest magnitude of the outputs
    stages_ms: dict[str, list[float]] = field(default_factory=dict)
    foreign_cpu: float | None = None  # share of the cores in use that others had meanwhile; None = not known
    energy_j: dict[str, float] = field(default_factory=dict)  # counter -> joules of the samples; empty without counters


def time_model(session: Runs, batches: Sequence[Float], plan: TimingPlan, *, gpu: bool = False) -> Timed:
    """Time `session.run` alone over a ring of batches [n, 3, h, w]; `gpu` says whether a card's energy counts."""
    first = [[item.copy() for item in session.run(batch)] for batch in batches]
    last: list[list[Float]] = list(first)

    def call(i: int) -> None:
        slot = i % len(batches)
        last[slot] = session.run(batches[slot])

    before = _counters()
    calls = warm_up(call, plan)
    samples, joules = _metered_sample(call, plan, gpu)
    other_load = _other_load(before)
    same = all(map(_same, first, last))
    return Timed(samples, calls, same, [digest(o) for o in first], foreign_cpu=other_load, energy_j=joules)


def time_end_to_end(
    detector: Detector,
    files: Sequence[NDArray[np.uint8]],
    plan: TimingPlan,
    tiling: Tiling | None = None,
    *,
    gpu: bool = False,
) -> Timed:
    """Time an image file in memory to boxes in its own pixels, at deployment thresholds, with its stages apart.

    With a tiling a call is a whole picture: all its tiles, cut, looked at and merged.
    """
    stages: dict[str, list[float]] = {name: [] for name in STAGES}
    detect = _whole(detector) if tiling is None else TiledDetector(detector, tiling)

    def call(i: int) -> None:
        spans, last = dict.fromkeys(stages, 0), time.perf_counter_ns()

        def lap(name: str) -> None:
            nonlocal last
            now = time.perf_counter_ns()
            spans[name] += now - last
            last = now

        detect(decode_image(files[i % len(files)]), lap=lap)
        for name, span in spans.items():
            stages[name].append(span / 1e6)

    before = _counters()
    calls = warm_up(call, plan)
    for values in stages.values():
        values.clear()
    samples, joules = _metered_sample(call, plan, gpu)
    return Timed(samples, calls, True, [], stages, _other_load(before), joules)


def _metered_sample(call: Callable[[int], Any], plan: TimingPlan, gpu: bool) -> tuple[list[float], dict[str, float]]:
    """The samples, and the joules that the machine counted meanwhile."""
    joules: dict[str, float] = {}
    with metered(gpu=gpu, into=joules):
        return sample(call, plan), joules


def _whole(detector: Detector) -> Callable[..., Any]:
    """A picture looked at once, as `TiledDetector` is called."""

    def detect(image: NDArray[np.uint8], *, lap: Callable[[str], None]) -> None:
        prepared = detector.prepare(image)
        lap("preprocess")
        outputs = detector.run(prepared.x[None])
        lap("inference")
        detector.finish(outputs, [prepared])
        lap("postprocess")

    return detect


def _counters() -> disturbance.Reading | None:
    return disturbance.read(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def _other_load(before: disturbance.Reading | None) -> float | None:
    """What others took of this process's cores since `before`, warm-up included: that is when it stirs the clocks."""
    return disturbance.other_load_share(before, _counters(), cores())


def warm_up(call: Callable[[int], Any], plan: TimingPlan) -> int:
    """Call until the median of a window is within 5 % of the window before; returns the number of calls.

    Clocks rise, caches fill and engines choose kernels in the first calls; how many it takes depends on the machine.
    """
    window = max(plan.warmup, 3)
    before, calls = np.inf, 0
    deadline = time.perf_counter() + plan.max_seconds / 2
    while calls < window * WARMUP_CAP and time.perf_counter() < deadline:
        spans = [_span(call, calls + i) for i in range(window)]
        calls += window
        now = float(np.median(spans))
        if abs(now - before) <= STABLE * before:
            break
        before = now
    return calls


def sample(call: Callable[[int], Any], plan: TimingPlan) -> list[float]:
    """Time single calls, ms, until both minima are reached, or the time is up, or there are plenty.

    Calls that are slow together count as one: where they are worth less than `min_samples` independent ones, more are
    taken, up to `most` times as many.
    """
    spans: list[float] = []
    start, target = time.perf_counter(), plan.min_samples
    while True:
        spans.append(_span(call, len(spans)))
        elapsed = time.perf_counter() - start
        full = len(spans) >= max(plan.min_samples, MAX_SAMPLES)
        if full or elapsed >= plan.max_seconds:
            return spans
        if len(spans) >= target and elapsed >= plan.min_seconds:
            # Looked at a few times only: what is computed between two calls takes caches from the second.
            more = _more(spans, plan)
            if more <= len(spans):
                return spans
            target = more


def _more(spans: list[float], plan: TimingPlan) -> int:
    """How many calls it takes to be worth `min_samples` independent ones, as far as can be told by now."""
    most = plan.min_samples * plan.most
    if len(spans) >= most or (worth := effective_samples([spans])) >= plan.min_samples:
        return 0
    return min(max(math.ceil(len(spans) * plan.min_samples / worth), len(spans) * 5 // 4 + 1), most)


def _span(call: Callable[[int], Any], i: int) -> float:
    start = time.perf_counter_ns()
    call(i)
    return (time.perf_counter_ns() - start) / 1e6


def digest(outputs: Sequence[Float]) -> list[float]:
    """A short description of all outputs, to compare passes with: sum and largest magnitude."""
    total = sum(float(item.sum(dtype=np.float64)) for item in outputs)
    return [total, max((float(np.abs(item).max(initial=0.0)) for item in outputs), default=0.0)]


def _same(first: Sequence[Float], last: Sequence[Float]) -> bool:
    return len(first) == len(last) and all(map(_same_output, first, last))


def _same_output(first: Float, last: Float) -> bool:
    scale = float(np.abs(first).max(initial=0.0))
    return first.shape == last.shape and bool(np.abs(first - last).max(initial=0.0) <= OUTPUT_TOLERANCE * (scale or 1))
