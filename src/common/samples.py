"""What the calls of timed blocks say: quantiles, how many calls count, and how many a percentile needs. Pure functions.

Samples come in blocks, one per process and round. What a block says is one quantile of that process; what is said
about the model comes from several of them (`src.common.speed`). Nothing heavy is imported: a report reads raw samples.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

from src.common.statistics import normal_quantile

PERCENTILES = {"p90": 0.90, "p95": 0.95, "p99": 0.99}
TAIL = 0.90  # calls above this quantile of their block are slow ones: how they cluster says what a call is worth
LEVEL = 0.99  # an autocorrelation counts when independent calls would stay below it so often
MOST_LAGS = 100  # a burst that lasts longer is not worth following: little is left of the block
Blocks = Sequence[Sequence[float]]


@functools.cache
def required_samples(percentile: float, confidence: float = 0.99) -> int:
    """Samples below which a percentile is not given: 64 for p90, 662 for p99.

    The smallest n for which at most one sample above the percentile is as unlikely as 1 - `confidence`. From MLPerf's
    early stopping (Inference rules, appendix "Early Stopping Criterion").
    """
    tail, n = 1 - percentile, 2
    while percentile**n + n * tail * percentile ** (n - 1) > 1 - confidence:
        n += 1
    return n


def quantile(values: Sequence[float], q: float) -> float:
    """Quantile of a sample, median-unbiased whatever the distribution (Hyndman and Fan 1996, their type 8).

    The usual interpolation takes the 99th percentile of 175 calls too low by a third of a percentile.
    """
    ordered = sorted(values)
    place = min(max((len(ordered) + 1 / 3) * q + 1 / 3, 1.0), float(len(ordered)))
    whole = int(place)
    low, high = ordered[whole - 1], ordered[min(whole, len(ordered) - 1)]
    return low + (place - whole) * (high - low)


def effective_samples(blocks: Blocks) -> float:
    """How many independent calls the calls of all blocks are worth: slow ones come in bursts, and say less together.

    The number of calls over 1 + 2 times the sum of the autocorrelations of "slower than the block's 90th percentile",
    pooled over the blocks, up to the first lag that independent calls would show as well (Bartlett's 1 / sqrt(n)).
    """
    count = sum(map(len, blocks))
    slow = [_slow(block) for block in blocks if len(block) > 1]
    power = math.fsum(v * v for series in slow for v in series)
    if power <= 0:
        return float(count)
    noise, time = normal_quantile(LEVEL) / math.sqrt(count), 1.0
    for lag in range(1, min(max(map(len, slow)), MOST_LAGS)):
        shared = math.fsum(a * b for series in slow for a, b in zip(series, series[lag:])) / power
        if shared <= noise:
            break
        time += 2 * shared
    return count / time


def _slow(block: Sequence[float]) -> list[float]:
    """1 for every slow call of a block and 0 for the others, less their mean."""
    limit = quantile(block, TAIL)
    marks = [float(value > limit) for value in block]
    share = math.fsum(marks) / len(marks)
    return [mark - share for mark in marks]


def supported(blocks: Blocks) -> dict[str, float]:
    """Percentiles that the effective number of calls supports, by name; the median always is."""
    worth = effective_samples(blocks)
    return {"p50": 0.5} | {name: q for name, q in PERCENTILES.items() if worth >= required_samples(q)}


def round_values(blocks: Blocks) -> dict[str, list[float]]:
    """One value of every supported statistic for each round, in order: `mean`, `p50`, `p90`, … in the samples' unit."""
    values = {name: [quantile(block, q) for block in blocks] for name, q in supported(blocks).items()}
    return values | {"mean": [math.fsum(block) / len(block) for block in blocks]}
