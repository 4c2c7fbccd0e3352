"""Which of two is cheaper where the rounds scatter: what is not shown to be slower is not as fast."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from src.common.speed import estimate
from src.config.schema import DecisionConfig
from src.decide.choice import Decision, decide
from src.decide.load import Saved
from src.decide.open_questions import asked, open_questions
from src.decide.speed import dearer, slower
from src.records.schema import FinalistRecord, SweepRecord, TrialRecord
from src.report.headline import refused
from src.report.page_one import settling_command
from tests.report.factory import ONNX, finalist, trial

SWEEP = SweepRecord("friday", "study", "run", "", "0", {}, 4, "val/mAP50-95", {}, "2026-11-21T08:00:00+00:00")
NOISE = (-0.001, 0.0, 0.001, 0.0005, -0.0005)
QUIET = (20.0, 20.1, 19.9, 20.0)


def timed(of: TrialRecord, rounds: list[float]) -> FinalistRecord:
    """A finalist whose one file takes what the rounds say, ms."""
    (m,) = (made := finalist(of, (ONNX,))).measurements
    value = estimate(rounds).value
    latency = replace(m.latency, mean=value, p50=value, p90=value, p95=value, p99=value)
    every = dict.fromkeys(("mean", "p50", "p90", "p95", "p99"), rounds)
    return replace(made, measurements=[replace(m, latency=latency, rounds=every)])


def two(slow: list[float], fast: list[float], gap: float = 0.001, margin: float = 0.03) -> Decision:
    """v11n is the better by `gap` and takes `slow`, v8n takes `fast`."""
    better = [trial(i, "v11n", seed=i, score=0.6 + x) for i, x in enumerate(NOISE)]
    worse = [trial(10 + i, "v8n", seed=i, score=0.6 - gap + x) for i, x in enumerate(NOISE)]
    records = {0: timed(better[0], slow), 10: timed(worse[0], fast)}
    settings = DecisionConfig(name="test", latency="p90", margin=margin)
    return decide(Saved(Path("f"), SWEEP, [*better, *worse], records, {}), settings)


def model(decision: Decision) -> str:
    assert decision.recommended is not None
    return decision.recommended.configuration.model


def test_a_model_that_scattering_rounds_do_not_show_to_be_slower_is_not_as_fast() -> None:
    got = two([20.0, 60.0, 21.0, 100.0], [10.0, 9.0, 30.0, 10.0])
    slow, fast = got.candidates
    assert dearer(slow, fast, "p90")
    assert not slower(slow, fast, "p90")
    assert model(got) == "v8n"  # both are good enough; of the two it is the likelier to be cheap


def test_within_five_per_cent_the_more_accurate_one_is_taken() -> None:
    assert model(two([20.5, 20.6, 20.4, 20.5], list(QUIET))) == "v11n"
    assert model(two([22.0, 22.1, 21.9, 22.0], list(QUIET))) == "v8n"


def sweeps(slow: float, fast: float, scatter: float) -> list[Decision]:
    """200 of three rounds each."""
    rng = random.Random(1)
    worlds = [[[ms * rng.lognormvariate(0, scatter) for _ in range(3)] for ms in (slow, fast)] for _ in range(200)]
    return [two(a, b) for a, b in worlds]


@pytest.mark.parametrize("scatter", [0.05, 0.2, 0.4])
def test_of_two_as_fast_the_less_accurate_one_seldom_ships(scatter: float) -> None:
    """By the lower figure alone it shipped in up to 44 %."""
    assert sum(model(d) == "v8n" for d in sweeps(20.0, 20.0, scatter)) <= 0.16 * 200


def test_the_less_the_rounds_say_the_slower_model_ships_no_more_often() -> None:
    """Three times the latency, rounds that scatter by 40 %; taken for a tie it shipped in most of them."""
    found = sweeps(30.0, 10.0, 0.4)
    pairs = [sorted(d.candidates, key=lambda c: c.configuration.model) for d in found]
    undecided = [not slower(slow, fast, "p90") for slow, fast in pairs]
    assert sum(undecided) > 100  # where only what is established counts, the slow one ships in all of these
    assert sum(model(d) == "v11n" for d in found) < 0.2 * len(found)


def test_what_may_be_faster_is_open_until_it_is_measured_again() -> None:
    got = two([20.0, 60.0, 21.0, 100.0], [10.0, 9.0, 30.0, 10.0], gap=0.01, margin=0.01)
    assert model(got) == "v11n"
    refusal = refused(got)
    assert refusal is not None
    (question,) = open_questions(got)
    assert question.candidate is refusal  # what page one calls refused and open is in the list of what is open
    assert not question.faster
    assert asked(got) == []  # no training is spent on it
    assert settling_command(got, [question]) is None


def test_what_is_as_fast_is_not_the_cheapest_that_was_refused() -> None:
    assert refused(two([20.5, 20.6, 20.4, 20.5], list(QUIET), gap=0.01, margin=0.01)) is None
