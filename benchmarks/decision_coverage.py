"""Does the printed 95 % interval of mAP hold the truth? Simulated detectors whose mAP is known, by our own functions.

`python -m benchmarks.decision_coverage [RUNS]`; other benchmarks call `coverage`.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

import numpy as np

from benchmarks._table import held, lines
from benchmarks._worlds import BURSTS, EVEN, GOOD, WORLDS, World, draw, true_ap
from src.evaluate import match
from src.evaluate.bootstrap import image_weights, resample_classes
from src.evaluate.intervals import Interval, evidence, interval
from src.evaluate.matching import Floats
from src.evaluate.precision import ap_table, mean_of

RESAMPLES = 300
SIZES = (20, 60, 200)
REACH = {EVEN.name: 0.93, GOOD.name: 0.93}  # others: RARELY
RARELY = 0.90


@dataclass(frozen=True)
class Coverage:
    """How often the interval held the truth."""

    world: str
    n_images: int
    runs: int
    claimed: int  # runs in which an interval was claimed
    held: int  # of those, the truth lay in it
    below: int  # the truth lay below it
    width: float  # mean

    @property
    def share(self) -> float:
        """Of the intervals claimed, how many held the truth; NaN when none was."""
        return self.held / self.claimed if self.claimed else math.nan


def coverage(world: World, n_images: int, runs: int, *, grouped: bool = True, seed: int = 7) -> Coverage:
    """Simulate splits of a world and count whether the interval holds the mAP of endlessly many images.

    Args:
        world: how images come about.
        n_images: of a split.
        runs: splits to simulate.
        grouped: whether the scene of each image is known, as with `data.group`.
        seed: of the simulation.
    """
    rng, ground_truth = np.random.default_rng(seed), np.array(true_ap(world))
    found = [_one(world, n_images, rng, ground_truth, grouped) for _ in range(runs)]
    told = [(got, true) for got, true in found if math.isfinite(got.low)]
    return Coverage(
        world=world.name if grouped else f"{world.name}, groups not given",
        n_images=n_images,
        runs=runs,
        claimed=len(told),
        held=sum(got.low <= true <= got.high for got, true in told),
        below=sum(true < got.low for got, true in told),
        width=float(np.mean([got.high - got.low for got, _ in told])) if told else math.nan,
    )


def _one(
    world: World, n_images: int, rng: np.random.Generator, ground_truth: Floats, grouped: bool
) -> tuple[Interval, float]:
    """The interval of one split, and the true mAP over the classes that the split holds."""
    detections, ground_truths, scenes = draw(world, rng, n_images)
    groups = scenes if grouped else None
    matches = match(detections, ground_truths, world.classes)
    table = resample_classes(matches, image_weights(n_images, RESAMPLES, groups=groups))[:, :, 0]
    found = evidence(matches, groups)
    return interval(mean_of(ap_table(matches)), table, found), float(ground_truth[found.present].mean())


def main(runs: int = 300) -> None:
    """Print the table."""
    asked = [(w, n, True) for w in WORLDS for n in SIZES] + [(BURSTS, 60, False)]
    rows: list[list[object]] = [["world", "images", "splits", "claimed", "held the truth", "below", "width", ""]]
    for world, n, grouped in asked:
        got = coverage(world, n, runs, grouped=grouped)
        reach = REACH.get(world.name, RARELY)
        verdict = held(got.share >= reach) + f" (≥ {reach:.2f})" if got.claimed else "none claimed"
        verdict = verdict if grouped else "for comparison"
        rows.append([got.world, n, runs, f"{got.claimed / runs:.2f}", got.share, got.below, got.width, verdict])
        print(rows[-1], file=sys.stderr, flush=True)
    print(lines(rows))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
