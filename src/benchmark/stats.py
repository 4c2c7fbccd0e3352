"""What a list of latencies says, and what it doesn't: percentiles, intervals, comparisons. Pure functions.

Samples come in blocks, one per process and round. Calls of one block share the machine's mood, so intervals resample
whole blocks before samples: treating all calls as independent would claim far more certainty than there is.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from src.records import Latency

Array = NDArray[np.float64]
Verdict = Literal["faster", "slower", "tie", "no decision"]

CONFIDENCE = 0.95
RESAMPLES = 400
TIE_MARGIN = 0.05  # ratios this close to 1 don't matter to anyone, and are within what this kind of machine repeats
PERCENTILES = {"p90": 0.90, "p95": 0.95, "p99": 0.99}
# Two-sided 95 % quantiles of Student's t by degrees of freedom (1..30); beyond, the normal one.
_T95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


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


def summarise(blocks: Sequence[Sequence[float]], *, seed: int = 0) -> Latency:
    """Pool the blocks of one artifact, ms per call, into a `Latency` with 95 % intervals.

    Raises:
        ValueError: there is no sample.
    """
    arrays = [np.asarray(block, np.float64) for block in blocks if len(block)]
    if not arrays:
        raise ValueError("no samples to summarise")
    pooled = np.concatenate(arrays)
    supported = {name: q for name, q in PERCENTILES.items() if len(pooled) >= required_samples(q)}
    quantiles = {"p50": 0.5, **supported}
    values: dict[str, float] = {name: float(np.quantile(pooled, q)) for name, q in quantiles.items()}
    return Latency(
        count=len(pooled),
        mean=float(pooled.mean()),
        p50=values["p50"],
        p90=values.get("p90"),
        p95=values.get("p95"),
        p99=values.get("p99"),
        intervals=_intervals(arrays, quantiles, seed),
    )


def _intervals(blocks: list[Array], quantiles: dict[str, float], seed: int) -> dict[str, list[float]]:
    """95 % intervals of the mean and the quantiles, by resampling blocks and then samples within them."""
    if sum(map(len, blocks)) < 2:
        return {}
    rng = np.random.default_rng(seed)
    statistics: dict[str, Callable[[Array], float]] = {"mean": lambda a: float(a.mean())}
    for name, q in quantiles.items():
        statistics[name] = functools.partial(_quantile, q)
    drawn: dict[str, list[float]] = {name: [] for name in statistics}
    for _ in range(RESAMPLES):
        sample = _resample(blocks, rng)
        for name, statistic in statistics.items():
            drawn[name].append(statistic(sample))
    tails = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    return {name: [float(v) for v in np.quantile(values, tails)] for name, values in drawn.items()}


def _quantile(q: float, values: Array) -> float:
    return float(np.quantile(values, q))


def _resample(blocks: list[Array], rng: np.random.Generator) -> Array:
    chosen = rng.integers(len(blocks), size=len(blocks))
    return np.concatenate([rng.choice(blocks[i], size=len(blocks[i])) for i in chosen])


@dataclass(frozen=True)
class Comparison:
    """How much longer A takes than B: ratio of medians, with its 95 % interval over rounds."""

    ratio: float
    low: float
    high: float
    verdict: Verdict  # of A against B


def compare(a: Sequence[Sequence[float]], b: Sequence[Sequence[float]], *, margin: float = TIE_MARGIN) -> Comparison:
    """Compare two artifacts measured in the same interleaved rounds.

    Each round gives one ratio of medians; what the machine did in a round touches both sides, and cancels. The verdict
    is "faster" or "slower" only when the whole interval lies beyond 1 and the ratio beyond the margin; "tie" when the
    whole interval lies within the margin; otherwise "no decision": more rounds are needed.

    Args:
        a: blocks of A in order of rounds, ms.
        b: blocks of B in the same order.
        margin: ratios within 1 ± margin count as equal.

    Raises:
        ValueError: the numbers of rounds differ or are 0.
    """
    if len(a) != len(b) or not a:
        raise ValueError("both sides need the same number of rounds, at least one")
    logs = [math.log(float(np.median(x)) / float(np.median(y))) for x, y in zip(a, b, strict=True)]
    centre, half = float(np.mean(logs)), _half_width(logs)
    ratio, low, high = math.exp(centre), math.exp(centre - half), math.exp(centre + half)
    return Comparison(ratio, low, high, _verdict(ratio, low, high, margin))


def _half_width(values: Sequence[float]) -> float:
    """Half of Student's 95 % interval of the mean; infinite for a single value."""
    n = len(values)
    if n < 2:
        return math.inf
    t = _T95[n - 2] if n - 2 < len(_T95) else 1.96
    return t * float(np.std(values, ddof=1)) / math.sqrt(n)


def _verdict(ratio: float, low: float, high: float, margin: float) -> Verdict:
    if low >= 1 - margin and high <= 1 + margin:
        return "tie"
    if high < 1 and ratio < 1 - margin:
        return "faster"
    if low > 1 and ratio > 1 + margin:
        return "slower"
    return "no decision"
