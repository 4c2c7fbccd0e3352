"""The highest rate at which the promise is kept, and how sure that is.

"p99 is at most L" says that at most one request in a hundred takes longer than L (or fails). Requests that do come in
bursts, as neighbours wait in the same queue: a burst is one piece of evidence, not as many as it has requests. So the
number of breaches is taken as a compound Poisson variable: its bounds are the exact ones of a Poisson count (Garwood
1936) of breaches divided by their design effect: the largest of the dispersion between blocks of time, of the mean
length of the burst that a breach lies in, and of the number of requests for which the queue remembers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.loadtest.client import Sent

BLOCKS = 20
SHARE = 0.01  # of requests that may take longer: p99
CONFIDENCE = 0.95  # of each one-sided bound
BEHIND_S = 0.005  # the client fell behind: what it measures is its own


@dataclass(frozen=True)
class Step:
    """What was seen at one rate.

    Attributes:
        rate: requests a second that were due.
        requests: that were sent.
        failed: without a success.
        p50_ms, p99_ms: of the successful ones; NaN without any.
        broken: share of requests that took longer than promised or failed, with one-sided bounds.
        behind: whether the client itself was late.
    """

    rate: float
    requests: int
    failed: int
    p50_ms: float
    p99_ms: float
    broken: float
    low: float
    high: float
    behind: bool

    @property
    def keeps(self) -> bool:
        """Whether the promise was kept, as a point."""
        return self.broken <= SHARE


def step_of(rate: float, sent: Sent, promise_ms: float, seconds: float) -> Step:
    """Judge one rate.

    Args:
        rate: that was asked for, 1/s.
        sent: what came of it.
        promise_ms: the latency that 99 % may take at most.
        seconds: length of the schedule.
    """
    broken = ~sent.ok | (sent.latency * 1000 > promise_ms)
    low, high = bounds(broken, sent.due, sent.latency, seconds)
    good = sent.latency[sent.ok] * 1000
    p50, p99 = np.percentile(good, [50, 99]) if len(good) else (math.nan, math.nan)
    behind = bool(len(sent.late)) and float(np.percentile(sent.late, 99)) > BEHIND_S
    share = float(broken.mean()) if len(broken) else 0.0
    return Step(rate, len(broken), int((~sent.ok).sum()), float(p50), float(p99), share, low, high, behind)


def bounds(
    broken: NDArray[np.bool_], due: NDArray[np.float64], latency: NDArray[np.float64], seconds: float
) -> tuple[float, float]:
    """One-sided bounds of the share of broken promises, each at `CONFIDENCE`.

    Args:
        broken: which requests broke it, in the order in which they were due.
        due: s from the start.
        latency: of each, any unit.
        seconds: length of the schedule.
    """
    from scipy.special import gammaincinv

    count, requests = int(broken.sum()), len(broken)
    if not requests:
        return 0.0, 1.0
    effect = max(_dispersion(broken, due, seconds), _burst(broken), _memory(latency, due, seconds), 1.0)
    bursts = count / effect
    low = effect * float(gammaincinv(bursts, 1 - CONFIDENCE)) / requests if count else 0.0
    high = effect * float(gammaincinv(bursts + 1, CONFIDENCE)) / requests
    return min(low, 1.0), min(high, 1.0)


def _dispersion(broken: NDArray[np.bool_], due: NDArray[np.float64], seconds: float) -> float:
    """Variance of the breaches in a block of time over their mean: 1 where they are independent and rare."""
    block = np.minimum((due / seconds * BLOCKS).astype(int), BLOCKS - 1)
    counts = np.bincount(block, weights=broken, minlength=BLOCKS)
    return float(counts.var(ddof=1) / counts.mean()) if counts.any() else 1.0


def _memory(latency: NDArray[np.float64], due: NDArray[np.float64], seconds: float) -> float:
    """For how many requests the queue remembers: the spread of blocks' mean ranks over that of independent requests.

    It is known from all requests, also where hardly any breaks the promise.
    """
    _, place, ties = np.unique(latency, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(ties) - ties / 2)[place]
    alone, worst = float(ranks.var()), 1.0
    if alone == 0:
        return worst
    for blocks in (BLOCKS // 2, BLOCKS):
        block = np.minimum((due / seconds * blocks).astype(int), blocks - 1)
        sizes = np.bincount(block, minlength=blocks)
        if (sizes < 2).any():
            continue
        means = np.bincount(block, weights=ranks, minlength=blocks) / sizes
        worst = max(worst, float(means.var(ddof=1) * sizes.mean() / alone))
    return worst


def _burst(broken: NDArray[np.bool_]) -> float:
    """Mean length of the burst that a breach lies in, requests."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], broken.astype(int), [0]))))
    lengths = edges[1::2] - edges[::2]
    return float((lengths**2).sum() / lengths.sum()) if len(lengths) else 1.0


@dataclass(frozen=True)
class Capacity:
    """The highest rate that keeps the promise, requests a second.

    Attributes:
        rate: the highest tried at which it was kept; 0 where none.
        low: the highest tried at which we are confident that it is kept; 0 where none.
        high: the lowest tried at which we are confident that it is broken; infinite where none.
    """

    rate: float
    low: float
    high: float

    def replicas(self, demand: float) -> int | None:
        """Services that a demand (requests a second) needs, by the lower bound; None where none is established."""
        return math.ceil(demand / self.low) if self.low > 0 else None


def capacity_of(steps: list[Step]) -> Capacity:
    """What the steps say together.

    A rate above one that broke the promise does not count, even if it was kept there by luck.
    """
    broke = min((s.rate for s in steps if not s.keeps), default=math.inf)
    surely_broke = min((s.rate for s in steps if s.low > SHARE), default=math.inf)
    kept = max((s.rate for s in steps if s.keeps and s.rate < broke), default=0.0)
    surely = max((s.rate for s in steps if s.high <= SHARE and s.rate < broke), default=0.0)
    return Capacity(kept, surely, surely_broke)


def next_rate(steps: list[Step], most: float, precision: float) -> float | None:
    """The rate to try next: doubling until the promise breaks, then halving what lies between; None when done.

    Args:
        steps: so far.
        most: answers a second that the service gives at all.
        precision: ratio of the rates at which it is close enough.
    """
    if not steps:
        return most * 0.5
    found = capacity_of(steps)
    broke = min((s.rate for s in steps if not s.keeps), default=math.inf)
    if math.isinf(broke):
        return found.rate * 1.3
    if found.rate == 0:
        lowest = min(s.rate for s in steps)
        return lowest / 2 if lowest > most * 0.02 else None
    return math.sqrt(broke * found.rate) if broke / found.rate > precision else None
