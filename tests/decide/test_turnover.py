"""Where the truth is known: a claim that a ranking turns over is false in at most 5 % of reports."""

from __future__ import annotations

import math
import random

import pytest

from src.decide.turnover import turnovers

MACHINES = {"sweep": 0.0, "pi5": 2.0, "server": -1.0}


def measured(level: float, count: int, scatter: float, shared: list[float], rng: random.Random) -> list[float]:
    return [math.exp(level + s + rng.gauss(0, scatter)) for s in shared[:count]]


def simulated(
    levels: dict[str, list[float]], rounds: int, scatter: float, rng: random.Random
) -> dict[str, list[list[float]]]:
    """Rounds of every candidate on every machine; what a round does to all that is measured in it is shared."""
    found = {}
    for machine, own in levels.items():
        shared = [rng.gauss(0, 0.05) for _ in range(rounds)]
        found[machine] = [measured(v, rounds, scatter, shared, rng) for v in own]
    return found


@pytest.mark.parametrize("rounds", [3, 6])
@pytest.mark.parametrize("gap", [0.0, 0.06, 0.3])
def test_a_ranking_that_is_the_same_everywhere_is_hardly_ever_said_to_turn_over(gap: float, rounds: int) -> None:
    """Equal on two machines, and a gap on the third: the worst case, where one half of a false claim is true."""
    rng = random.Random(f"{gap} {rounds}")
    levels = {m: [base + (i * gap if m == "sweep" else 0.0) for i in range(5)] for m, base in MACHINES.items()}
    repeats = 300
    false = sum(bool(turnovers(simulated(levels, rounds, 0.04, rng))) for _ in range(repeats))
    assert false / repeats <= 0.05


def test_without_shared_confidence_it_would_be_claimed_too_often() -> None:
    """The simulation can tell: with every interval at 95 % by itself, false claims are frequent."""
    rng = random.Random(1)
    levels = {m: [base + (i * 0.3 if m == "sweep" else 0.0) for i in range(5)] for m, base in MACHINES.items()}
    worlds = [simulated(levels, 6, 0.08, rng) for _ in range(100)]
    assert sum(bool(turnovers(w, confidence=0.95**30)) for w in worlds) > 15
    assert sum(bool(turnovers(w)) for w in worlds) <= 10


def test_a_ranking_that_turns_over_is_found() -> None:
    rng = random.Random(2)
    levels = {"sweep": [0.0, 0.4], "pi5": [2.5, 2.0], "server": [0.0, 0.4]}
    found = [turnovers(simulated(levels, 6, 0.02, rng)) for _ in range(50)]
    assert sum(len(f) == 2 for f in found) >= 45
    t = found[0][0]
    assert (t.first, t.second, t.there) == (0, 1, "pi5")
    assert t.faster.high < 1 < t.slower.low


def test_what_does_not_matter_turns_nothing_over() -> None:
    exact = {"sweep": [[1.0] * 8, [1.03] * 8], "pi5": [[1.03] * 8, [1.0] * 8]}
    assert turnovers(exact) == []


def test_without_rounds_nothing_is_claimed() -> None:
    assert turnovers({"sweep": [[1.0, 1.0], []], "pi5": [[2.0, 2.0], [1.0, 1.0]]}) == []
    assert turnovers({}) == []
    assert turnovers({"sweep": [[1.0], [2.0]], "pi5": [[2.0], [1.0]]}) == []
