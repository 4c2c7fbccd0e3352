"""Sweeps that go on until the decision is settled, simulated: wrong settlements, what is found, what it costs.

Four networks with known mAP on the population, latency 1 : 2 : 4 : 8. Every training adds a seed's noise; the val
images shift all models together and each of them a little. The records that begin a sweep, the decision, the level of
a look and the next training are the product's own functions; a further seed is put into the decision's candidates
directly, since writing and reading records would take most of the time.

Equal replication, for comparison, has the same rule for stopping and gives every configuration a seed in turn.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from src.common.statistics import spread
from src.config.schema import DecisionConfig
from src.decide.candidates import Candidate
from src.decide.choice import Decision, choose, decide
from src.decide.load import Saved
from src.decide.looks import used_share
from src.decide.next_training import next_training, questions
from src.decide.spread import moderated
from src.decide.uncertainty import Floats, ImageComponent
from src.records.schema import SweepRecord, TrialRecord
from tests.report.factory import ONNX, Target, finalist, trial

APART = (0.70, 0.725, 0.75, 0.80)
EQUAL = (0.80, 0.725, 0.75, 0.80)  # the cheapest is truly as good as the dearest
JUST_OUT = (0.7895, 0.725, 0.75, 0.80)  # the cheapest is a little more than the margin worse: the hardest to get right
JUST_IN = (0.7905, 0.725, 0.75, 0.80)
LATENCY = (1.0, 2.0, 4.0, 8.0)
IMAGES = 1000
SHARED_SD = 0.01  # what the val images do to all models alike
OWN_SD = 0.001  # what they do to each model besides
RESAMPLES = 100
START = 2  # seeds that the search trained each configuration with

Allocate = Callable[[Decision, float, Sequence[int]], str]


@dataclass(frozen=True)
class Outcome:
    """What a share of simulated sweeps did."""

    sweeps: int
    wrong: float  # settled on a model that is truly more than the margin worse, or called one worse that is not
    found: float  # the cheapest model that is truly within the margin was recommended
    settled: float  # ended with nothing open
    trainings: float  # on average, those of the search among them


def simulate(
    world: Sequence[float] = EQUAL,
    seed_sd: float = 0.01,
    *,
    sweeps: int = 200,
    max_trainings: int = 60,
    margin: float = 0.01,
    equal: bool = False,
    seed: int = 1,
) -> Outcome:
    """Simulate sweeps with `study.until=decided`.

    Args:
        world: true mAP50-95 of the networks, the cheapest first; four of them.
        seed_sd: standard deviation over seeds.
        sweeps: to simulate.
        max_trainings: bound of every sweep, the search's trainings among them.
        margin: of the decision.
        equal: every configuration gets a seed in turn, in place of the product's allocation.
        seed: of the simulation; the same one gives the same noise to both allocations.
    """
    allocate = _in_turn if equal else _by_product
    rows = [
        _sweep(world, seed_sd, np.random.default_rng([seed, i]), max_trainings, margin, allocate) for i in range(sweeps)
    ]
    wrong, found, settled, trainings = (math.fsum(column) / sweeps for column in zip(*rows, strict=True))
    return Outcome(sweeps, wrong, found, settled, trainings)


def _by_product(decision: Decision, left: float, counts: Sequence[int]) -> str:
    return next_training(decision, left).config_id


def _in_turn(decision: Decision, left: float, counts: Sequence[int]) -> str:
    step = next_training(decision, left)
    names = [c.configuration.config_id for c in _ordered(decision)]
    return names[int(np.argmin(counts))] if step.config_id else ""


def _ordered(decision: Decision) -> list[Candidate]:
    return sorted(decision.candidates, key=lambda c: c.best.trial.trial)


def _sweep(
    world: Sequence[float],
    seed_sd: float,
    noise: np.random.Generator,
    max_trainings: int,
    margin: float,
    allocate: Allocate,
) -> tuple[float, float, float, float]:
    """One sweep: (wrong, found, settled, trainings)."""
    true = np.asarray(world) - noise.normal(0, SHARED_SD)
    on_val = true + noise.normal(0, OWN_SD, len(world))
    streams = [np.random.default_rng(s) for s in noise.integers(0, 2**62, len(world))]  # of each configuration's seeds
    scores = [[v + s.normal(0, seed_sd) for _ in range(START)] for v, s in zip(on_val, streams, strict=True)]
    shared = noise.normal(0, SHARED_SD, RESAMPLES)
    images = [shared + noise.normal(0, OWN_SD, RESAMPLES) for _ in world]
    decision = _begun(scores, margin)
    names = [c.configuration.config_id for c in _ordered(decision)]
    while True:
        total = sum(map(len, scores))
        left = max_trainings - total
        decision = _look(decision, scores, images, used_share(total, left))
        name = allocate(decision, left, [len(s) for s in scores]) if left > 0 else ""
        if not name:
            return (*_judged(decision, world, margin, names), float(total))
        i = names.index(name)
        scores[i].append(on_val[i] + streams[i].normal(0, seed_sd))


def _begun(scores: Sequence[Sequence[float]], margin: float) -> Decision:
    """The decision on records, as a sweep begins."""
    trials: list[TrialRecord] = []
    finalists = {}
    for i, own in enumerate(scores):
        target: Target = replace(ONNX, ms=LATENCY[i])
        for s, score in enumerate(own):
            one = trial(len(trials), f"m{i}", seed=s, score=score)
            trials.append(one)
            if s == 0:
                finalists[one.trial] = finalist(one, (target,), test=None)
    sweep = SweepRecord("friday", "study", "run", "", "0", {}, len(trials), "val/mAP50-95", {}, "2026-01-01")
    saved = Saved(Path("friday"), sweep, trials, finalists, {})
    return decide(saved, DecisionConfig(name="simulated", margin=margin, max_export_loss=1.0))


def _look(decision: Decision, scores: Sequence[Sequence[float]], images: Sequence[Floats], share: float) -> Decision:
    """The decision with more seeds behind it, at its level."""
    sweep = replace(decision.saved.sweep, looks=[{"share": share}])
    at_hand = replace(decision, saved=replace(decision.saved, sweep=sweep))
    spreads = moderated(scores)
    found = []
    for c, own, known, part in zip(_ordered(decision), scores, spreads, images, strict=True):
        mean = spread(own)
        configuration = replace(c.configuration, scores=tuple(own), spread=mean)
        resampled = ImageComponent(("val",), mean.mean + part, 0.0, IMAGES - 1.0)
        model = replace(c.model, score=mean.mean, seeds=known, images=resampled)
        found.append(replace(c, configuration=configuration, score=mean, model=model))
    choice = choose(found, decision.settings, decision.statistic, at_hand.level)
    return replace(
        at_hand,
        candidates=found,
        feasible={c.key for c in choice.feasible},
        best=choice.best,
        recommended=choice.recommended,
        comparisons=choice.comparisons,
    )


def _judged(
    decision: Decision, world: Sequence[float], margin: float, names: Sequence[str]
) -> tuple[float, float, float]:
    """(wrong, found, settled), against the truth on the population."""
    deficit = {name: max(world) - value for name, value in zip(names, world, strict=True)}
    chosen = decision.recommended
    assert chosen is not None
    said = {c.other.configuration.config_id: c.deficit.status for c in decision.comparisons}
    over = not questions(decision)  # what is still open was told to be open
    wrong = deficit[chosen.configuration.config_id] > margin and (
        over or said.get(chosen.configuration.config_id) == "within"
    )
    wrong |= any(s == "worse" and deficit[n] <= margin for n, s in said.items())
    target = next(name for name in names if deficit[name] <= margin)
    return float(wrong), float(chosen.configuration.config_id == target), float(over)


# World, spread over seeds, bound, bound of equal replication (twice as large where only two of four matter, so that
# it finds as much).
ROWS = (
    (APART, 0.01, 60, 60),
    (APART, 0.02, 60, 60),
    (EQUAL, 0.01, 80, 160),
    (EQUAL, 0.02, 300, 600),
    (JUST_OUT, 0.01, 60, 60),
    (JUST_OUT, 0.02, 60, 60),
    (JUST_IN, 0.01, 60, 60),
    (JUST_IN, 0.02, 60, 60),
)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sweeps", type=int, default=200)
    table(parser.parse_args().sweeps)


def table(sweeps: int) -> None:
    """Print a row for every world and bound."""
    columns = ("SD", "bound", "wrong", "found", "settled", "trainings", "equal: bound", "found", "trainings", "ratio")
    print(f"{'world':26}" + "".join(f"{c:>13}" for c in columns))
    for world, sd, bound, equal_bound in ROWS:
        ours = simulate(world, sd, sweeps=sweeps, max_trainings=bound)
        theirs = simulate(world, sd, sweeps=sweeps, max_trainings=equal_bound, equal=True)
        shares = (f"{100 * x:.1f} %" for x in (ours.wrong, ours.found, ours.settled))
        rest = (f"{equal_bound}", f"{100 * theirs.found:.1f} %", f"{theirs.trainings:.1f}")
        row = (
            f"{sd:g}",
            f"{bound}",
            *shares,
            f"{ours.trainings:.1f}",
            *rest,
            f"{ours.trainings / theirs.trainings:.2f}",
        )
        print(f"{' '.join(f'{v:.4g}' for v in world):26}" + "".join(f"{x:>13}" for x in row), flush=True)


if __name__ == "__main__":
    main()
