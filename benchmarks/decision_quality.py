"""How often the decision is wrong, with the truth known: simulated worlds, judged by the product's own functions.

A world is a set of networks with known mAP50-95 and latency. Training adds a seed's luck, the val split its choice of
images: each image has a difficulty that all networks share and a part that is each network's own. What the product
would have saved (scores, resamples over images, latencies by round) goes through `src.decide`, and what it recommends
is held against the truth.

    python -m benchmarks.decision_quality [--sweeps 2000]
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterable

import numpy as np

from benchmarks import decision_coverage, latency_coverage, promotion_quality, until_decided
from benchmarks._decision_records import decided_with_copies
from benchmarks._four_networks import EQUAL, FOUR, TINY, draw, image_weights, losses, picks, world
from src.decide.uncertainty import gap, mean_interval


def share(values: Iterable[bool]) -> str:
    """A share in per cent with its standard error."""
    hits = np.asarray(list(values), dtype=float)
    return f"{100 * hits.mean():.1f} ± {100 * math.sqrt(max(hits.mean() * (1 - hits.mean()), 1e-9) / len(hits)):.1f} %"


def worse_models(sweeps: int) -> None:
    """Picks that are truly worse, over images, spreads and seeds; taking the best mean beside it."""
    print("\nfour networks, mAP50-95 0.70 / 0.725 / 0.75 / 0.80, latency 1 : 2 : 4 : 8, margin 0.01")
    print("images  seed SD  seeds  > 0.02 worse    > 0.05 worse    (best mean: > 0.02, > 0.05)")
    for images in (60, 200, 1000):
        for sd in (0.01, 0.02):
            for seeds in (2, 3, 5):
                ours, plain = losses(world(FOUR, images, seeds, sd), sweeps)
                print(
                    f"{images:6} {sd:8} {seeds:6}  {share(ours > 0.02):14}  {share(ours > 0.05 + TINY):14}"
                    f"  {share(plain > 0.02)}, {share(plain > 0.05 + TINY)}"
                )


def unstable_models(sweeps: int) -> None:
    """Two of the four networks vary from seed to seed far more than the others."""
    print("\ntwo unstable networks (SD 0.059 among 0.014), 200 images: > 0.02 worse (taking the best mean)")
    for name, spread in (
        ("cheapest two", (0.059, 0.059, 0.014, 0.014)),
        ("first, third", (0.059, 0.014, 0.059, 0.014)),
    ):
        for seeds in (2, 3, 5):
            ours, plain = losses(world(FOUR, 200, seeds, spread), sweeps)
            print(f"{name}, {seeds} seeds: {share(ours > 0.02)} ({share(plain > 0.02)})")


def copies(sweeps: int) -> None:
    """One file on many runtimes: copies of a model are no further hypotheses."""
    print("\nequal files of each configuration (through records and `decide`): > 0.02 worse")
    for files in (1, 3, 6, 12):
        w = world(FOUR, 200, 2, 0.02)
        print(f"{files:2} files: {share(v > 0.02 for v in decided_with_copies(w, files, max(100, sweeps // 10)))}")


def found_cheap(sweeps: int) -> None:
    """The cheapest is truly as good as the best: how often it is found."""
    print("\nthe cheapest is as good as the best (0.80 / 0.725 / 0.75 / 0.80), 1,000 images, 5 seeds: found")
    for sd in (0.002, 0.005, 0.01, 0.02):
        w = world(EQUAL, 1000, 5, sd)
        print(f"seed SD {sd}: {share(i == 0 for i in picks(w, sweeps))}")


def equal_models(sweeps: int) -> None:
    """Two equal models, called different by a two-sided test at 5 %."""
    print("\nequal models called different (two-sided, 5 %), four networks of 0.80, 200 images, seed SD 0.02")
    for seeds in (1, 2, 3, 5):
        w = world((0.8,) * 4, 200, seeds, 0.02)
        rng = np.random.default_rng(2)
        weights = image_weights(w.images, rng)
        called = []
        for _ in range(sweeps):
            models = draw(w, weights, rng).models
            low, high = gap(models[0], models[1]).bounds(0.975)
            called.append(low > 0 or high < 0)
        print(f"{seeds} seeds: {share(called)}")


def coverage_of_means(sweeps: int) -> None:
    """The printed 95 % interval of a configuration's mean, over seeds and images."""
    print("\ncoverage of the printed 95 % interval of a configuration's mean (population of seeds and images)")
    for images in (60, 200, 1000):
        for seeds in (2, 3, 5):
            w = world(FOUR, images, seeds, 0.02)
            rng = np.random.default_rng(3)
            weights = image_weights(images, rng)
            held = []
            for _ in range(sweeps):
                for mean, m in zip(w.means, draw(w, weights, rng).models, strict=True):
                    low, high = mean_interval(m)
                    held.append(low <= mean <= high)
            print(f"{images:5} images, {seeds} seeds: {share(held)}")


def coverage_of_figures(sweeps: int) -> None:
    """mAP of one file over images, and latency over processes."""
    print("\ncoverage of the printed 95 % interval of mAP over images: even and rare classes, bursts")
    decision_coverage.main(max(50, sweeps // 5))
    print("\ncoverage of the printed 95 % intervals of p50 and p90; verdicts on speed")
    latency_coverage.main(["--repeats", str(max(200, sweeps))])


def until_decided_sweeps(sweeps: int) -> None:
    """Further seeds until the decision is settled."""
    print("\nstudy.until=decided against equal replication")
    until_decided.table(max(50, sweeps // 5))


def promoted(sweeps: int) -> None:
    """Challengers against the champion."""
    print("\npromotion")
    promotion_quality.tables(max(50, sweeps // 5))


STEPS: tuple[Callable[[int], None], ...] = (
    worse_models,
    unstable_models,
    copies,
    found_cheap,
    equal_models,
    coverage_of_means,
    coverage_of_figures,
    until_decided_sweeps,
    promoted,
)


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sweeps", type=int, default=1000, help="simulated sweeps in each world")
    sweeps = parser.parse_args().sweeps
    for step in STEPS:
        step(sweeps)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
