"""Whether intervals and verdicts on latency hold what they say, on simulated machines.

    python -m benchmarks.latency_coverage [--repeats 2000]

Processes of one file differ by 2 to 4 % for as long as they live (log-normal). Within one, calls scatter by 3 %, one
after the other alike (autocorrelation 0.3), and a tenth of them is slow, in bursts of three, by 15 % on average
(exponential). Every figure comes from the product's own functions on such samples; the truth is the quantile of the
typical process, from a million calls.
"""

from __future__ import annotations

import argparse
import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from src.benchmark import stats
from src.benchmark.rounds import Effort, precise
from src.benchmark.summary import Blocks
from src.records.schema import Artifact

Array = NDArray[np.float64]
ARTIFACT = Artifact("onnx", "fp32", "x.onnx", "sha", 1, [1, 3, 64, 64], 0.0, "source")
PART = "model_only/1"


@dataclass(frozen=True)
class World:
    """A simulated machine, and the file that runs on it."""

    between: float = 0.03  # standard deviation of the logarithm between processes
    within: float = 0.03  # of calls within one
    alike: float = 0.3  # autocorrelation of neighbouring calls
    slow: float = 0.1  # share of slow calls
    burst: int = 3  # slow calls in a row
    tail: float = 0.15  # how much slower, on average
    drift: float = 0.05  # standard deviation of what a round does to all that is measured in it
    calls: int = 175  # in a block; 700 in four rounds, as in conf/benchmark/standard.yaml

    def process(self, rng: np.random.Generator, calls: int) -> Array:
        """Logarithms of the durations of one process of median level 0."""
        noise = rng.normal(0, self.within * math.sqrt(1 - self.alike**2), calls)
        for i in range(1, calls):
            noise[i] += self.alike * noise[i - 1]
        starts = np.repeat(rng.random(-(-calls // self.burst)) < self.slow, self.burst)[:calls]
        return np.asarray(noise + starts * rng.exponential(self.tail, calls))

    def rounds(self, rng: np.random.Generator, count: int, ratio: float = 1.0, drift: Array | None = None) -> Blocks:
        """Blocks of a file that takes 10 ms times `ratio` in its typical process."""
        shared = np.zeros(count) if drift is None else drift
        levels = math.log(10 * ratio) + rng.normal(0, self.between, count) + shared
        blocks = [np.exp(level + self.process(rng, self.calls)) for level in levels]
        return Blocks(ARTIFACT, "onnxruntime", [{PART: {"samples_ms": list(map(float, b))}} for b in blocks])


def ground_truth(world: World) -> dict[str, float]:
    """Quantiles of the typical process, ms."""
    return _truth(replace(world, between=0.0, drift=0.0, calls=0))


@functools.cache
def _truth(world: World) -> dict[str, float]:
    calls = 10 * np.exp(world.process(np.random.default_rng(0), 1_000_000))
    return {name: float(np.quantile(calls, q)) for name, q in {"p50": 0.5, "p90": 0.9, "p99": 0.99}.items()}


def coverage(
    world: World, rounds: int, repeats: int = 500, *, most: int = 0, precision: float = 0.05, seed: int = 0
) -> dict[str, float]:
    """How often the printed 95 % intervals hold the truth.

    Args:
        world: the machine.
        rounds: planned.
        repeats: simulated benchmarks.
        most: further rounds are taken up to so many, until p90 is known to within `precision`; 0 = none.
        precision: relative half width that is aimed at.
        seed: of the draws.

    Returns:
        `p50`, `p90`, `p99` (NaN where never given): share of intervals that hold it; `width_p50`, `width_p90`: their
        mean relative half widths; `rounds`: mean number of rounds.
    """
    rng = np.random.default_rng(seed)
    held: dict[str, list[float]] = {name: [] for name in ("p50", "p90", "p99", "width_p50", "width_p90", "rounds")}
    for _ in range(repeats):
        blocks = _until(world.rounds(rng, max(rounds, most)), rounds, precision if most else 0.0)
        latency = stats.summarise(blocks)
        held["rounds"].append(len(blocks))
        for name, true in ground_truth(world).items():
            if name in latency.intervals:
                low, high = latency.intervals[name]
                held[name].append(low <= true <= high)
                if name != "p99":
                    held[f"width_{name}"].append(math.log(high / low) / 2)
    return {name: float(np.mean(values)) if values else math.nan for name, values in held.items()}


def _until(full: Blocks, rounds: int, precision: float) -> list[list[float]]:
    """The rounds that a benchmark would have taken of these."""
    effort, count = Effort(rounds, precision, math.inf, "p90", PART), rounds
    while count < len(full.answers) and not precise(Blocks(ARTIFACT, "x", full.answers[:count]), effort):
        count += 1
    return full.samples(PART)[:count]


def verdicts(world: World, rounds: int, ratio: float, repeats: int = 500, *, seed: int = 0) -> dict[str, float]:
    """How often a file that takes `ratio` times as long as another, measured in the same rounds, is called what.

    Returns:
        Shares of `faster`, `slower`, `tie` and `no decision` by medians, `different` by p90 (faster or slower), and
        `refused` as slower than float32.
    """
    rng = np.random.default_rng(seed)
    names = ("faster", "slower", "tie", "no decision")
    found: list[str] = []
    different = refused = 0
    for _ in range(repeats):
        drift = rng.normal(0, world.drift, rounds)
        a, b = (world.rounds(rng, rounds, r, drift).samples(PART) for r in (ratio, 1.0))
        result = stats.compare(a, b)
        found.append(result.verdict)
        refused += result.surely_slower()
        tails = [stats.round_values(side).get("p90") for side in (a, b)]
        if tails[0] and tails[1]:
            different += stats.compare_rounds(tails[0], tails[1]).verdict in ("faster", "slower")
    more = {"different": different / repeats, "refused": refused / repeats}
    return {name: found.count(name) / repeats for name in names} | more


HEADER = (
    "processes differ by", "rounds", "p50 held", "p90 held", "± of p90", "equal: called different by p50, p90",
    "3 % slower: refused", "20 % slower: refused",
)  # fmt: skip


def table(repeats: int) -> Iterator[str]:
    """Lines of the table in docs/benchmark.md."""
    yield f"| {' | '.join(HEADER)} |"
    yield "|---" * len(HEADER) + "|"
    for between in (0.02, 0.03, 0.04):
        for rounds, most in ((4, 0), (4, 8), (8, 0)):
            yield _row(World(between), rounds, most, repeats)


def _row(world: World, rounds: int, most: int, repeats: int) -> str:
    found = coverage(world, rounds, repeats, most=most)
    count = f"{rounds} to {most}, mean {found['rounds']:.1f}" if most else str(rounds)
    cells = [f"{world.between:.0%}", count, *(f"{found[k]:.3f}" for k in ("p50", "p90")), f"{found['width_p90']:.1%}"]
    if most:
        cells += ["", "", ""]
    else:
        equal, slower, much = (verdicts(world, rounds, ratio, repeats, seed=1) for ratio in (1.0, 1.03, 1.2))
        cells.append(f"{equal['faster'] + equal['slower']:.1%}, {equal['different']:.1%}")
        cells += [f"{found['refused']:.1%}" for found in (slower, much)]
    return f"| {' | '.join(cells)} |"


def main(words: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2000)
    for line in table(parser.parse_args(words).repeats):
        print(line, flush=True)


if __name__ == "__main__":
    main()
