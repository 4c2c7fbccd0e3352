"""What blocks of latencies say, and what they don't: percentiles, intervals, comparisons. Pure functions.

A block is what one process gave in one round. The figures of a model are those of its typical process: the geometric
mean over rounds of what each round says, with Student's interval over rounds (see `src.common.speed`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from src.common.samples import effective_samples, quantile, required_samples, round_values
from src.common.speed import TIE_MARGIN, Comparison, compare_rounds, estimate
from src.records.schema import Latency

__all__ = [
    "TIE_MARGIN",
    "Comparison",
    "compare",
    "compare_rounds",
    "effective_samples",
    "estimate",
    "required_samples",
    "round_values",
    "summarise",
]


def summarise(blocks: Sequence[Sequence[float]]) -> Latency:
    """What the blocks of one artifact, ms per call, say: a `Latency` with 95 % intervals from two rounds on.

    The mean is that of all calls, so that it fits the throughput; percentiles are those of the typical round.

    Raises:
        ValueError: there is no sample.
    """
    full = [block for block in blocks if len(block)]
    if not full:
        raise ValueError("no samples to summarise")
    found = {name: estimate(values) for name, values in round_values(full).items()}
    count = sum(map(len, full))
    mean = math.fsum(map(math.fsum, full)) / count
    values = {name: e.value for name, e in found.items()} | {"mean": mean}
    return Latency(
        count=count,
        mean=mean,
        p50=values["p50"],
        p90=values.get("p90"),
        p95=values.get("p95"),
        p99=values.get("p99"),
        # The mean of all calls may lie outside of an interval over rounds of very unequal length.
        intervals={n: [min(e.low, values[n]), max(e.high, values[n])] for n, e in found.items() if len(full) > 1},
    )


def compare(a: Sequence[Sequence[float]], b: Sequence[Sequence[float]], *, margin: float = TIE_MARGIN) -> Comparison:
    """Compare the medians of two artifacts, from their blocks in order of rounds, ms; see `compare_rounds`.

    Raises:
        ValueError: one side has no rounds.
    """
    return compare_rounds([quantile(x, 0.5) for x in a], [quantile(y, 0.5) for y in b], margin=margin)
