"""Where the next seed goes, when a sweep stops, and what level a look asks for."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.until_decided import APART, EQUAL, JUST_IN, JUST_OUT, simulate
from src.common.speed import estimate
from src.common.statistics import normal_quantile
from src.config.schema import DecisionConfig
from src.decide.choice import Decision, decide
from src.decide.load import Saved
from src.decide.looks import level_at, share_of, used_share
from src.decide.next_training import Step, compared, next_training, questions
from src.decide.open_questions import undecided_speed
from src.records.schema import SweepRecord, TrialRecord
from tests.report.factory import ONNX, finalist, trial

SWEEP = SweepRecord("friday", "study", "run", "", "0", {}, 4, "val/mAP50-95", {}, "2026-11-21T08:00:00+00:00")


def decided(*groups: list[float], looks: list[dict[str, object]] | None = None, margin: float = 0.01) -> Decision:
    """Configurations m0, m1, … with latency 1 : 2 : 4 … and these scores."""
    trials: list[TrialRecord] = []
    finalists = {}
    for i, scores in enumerate(groups):
        own = [trial(len(trials) + s, f"m{i}", seed=s, score=v) for s, v in enumerate(scores)]
        trials += own
        finalists[own[0].trial] = finalist(own[0], (replace(ONNX, ms=2.0**i),), test=None)
    saved = Saved(Path("friday"), replace(SWEEP, looks=looks or []), trials, finalists, {})
    return decide(saved, DecisionConfig(name="test", margin=margin, max_export_loss=1.0))


def name(decision: Decision, config_id: str) -> str:
    return next(c.model for c in decision.configurations if c.config_id == config_id)


def test_the_cheapest_open_question_comes_first_and_the_one_with_fewer_seeds_of_its_pair() -> None:
    got = decided([0.78, 0.80, 0.79], [0.70, 0.70], [0.79, 0.81])
    assert next(c.other.configuration.model for c in questions(got)) == "m0"
    assert name(got, next_training(got, 50).config_id) == "m2", "of m0 and the best, m2 has fewer seeds"


def test_the_one_that_varies_more_gets_more_seeds() -> None:
    calm, wild = [0.790, 0.791, 0.789, 0.790, 0.791, 0.789], [0.70, 0.86, 0.74, 0.88, 0.78, 0.86]
    got = decided(wild, calm)
    assert name(got, next_training(got, 500).config_id) == "m0"


def test_nothing_is_trained_once_all_is_settled() -> None:
    noise = random.Random(0)
    clear = decided(*([v + noise.gauss(0, 0.001) for _ in range(6)] for v in (0.5, 0.6, 0.8)))
    assert next_training(clear, 50).stopped == "decided"
    assert not next_training(clear, 50).config_id
    assert {c.deficit.status for c in compared(clear)} == {"worse"}


SHAKY = {"p90": [2.0, 9.0, 7.0, 8.0, 4.0]}  # rounds that leave it open which of two is faster
STEADY = {"p90": [7.0, 7.1, 6.9, 7.0, 7.0]}


def timed(decision: Decision, rounds: dict[str, dict[str, list[float]]]) -> Decision:
    """Decided again, with these rounds of the configurations' files."""
    finalists = {}
    for number, record in decision.saved.finalists.items():
        own = rounds.get(next(t.model for t in decision.saved.trials if t.trial == number))
        made = [replace(m, rounds=own, latency=replace(m.latency, p90=estimate(own["p90"]).value)) if own else m
                for m in record.measurements]  # fmt: skip
        finalists[number] = replace(record, measurements=made)
    return decide(replace(decision.saved, finalists=finalists), decision.settings)


LEANING = {"p90": [2.0, 9.0, 3.0, 8.0, 4.0]}  # they lean to it, and don't establish it


def test_what_may_be_cheaper_by_its_rounds_alone_leaves_the_decision_unsettled() -> None:
    """Both are good enough, the more accurate one ships, and whether the other would cost less nobody knows."""
    noise = random.Random(0)
    accurate = decided(*([v + noise.gauss(0, 0.0005) for _ in range(8)] for v in (0.8, 0.8005)))
    got = timed(accurate, {"m0": SHAKY, "m1": STEADY})
    assert got.recommended is not None
    assert got.recommended.configuration.model == "m1"
    assert {c.deficit.status for c in got.comparisons} == {"within"}
    assert [c.configuration.model for c in undecided_speed(got)] == ["m0"]
    assert next_training(got, 50) == Step(stopped="speed")
    leaning = timed(accurate, {"m0": LEANING, "m1": STEADY})
    assert leaning.recommended is not None
    assert leaning.recommended.configuration.model == "m0"
    assert [c.configuration.model for c in undecided_speed(leaning)] == ["m1"], "it is more accurate, if as fast"
    assert next_training(leaning, 50) == Step(stopped="speed")
    sure = timed(accurate, {"m0": STEADY, "m1": STEADY})  # a tie is an answer
    assert next_training(sure, 50) == Step(stopped="decided")


def test_what_is_ruled_out_may_be_as_fast_as_it_likes() -> None:
    noise = random.Random(0)
    got = decided(*([v + noise.gauss(0, 0.0005) for _ in range(8)] for v in (0.7, 0.8)))
    assert next_training(timed(got, {"m0": SHAKY, "m1": STEADY}), 50) == Step(stopped="decided")


def test_a_cheap_model_that_is_merely_the_best_by_its_mean_settles_nothing() -> None:
    lucky = decided([0.81, 0.80], [0.79, 0.81])
    assert lucky.recommended is lucky.best
    assert lucky.recommended is not None
    assert lucky.recommended.configuration.model == "m0"
    assert next_training(lucky, 50).config_id, "the dearer one may still be better by more than the margin"
    assert [c.other.configuration.model for c in questions(lucky)] == ["m0"]


def test_what_the_bound_can_not_settle_is_passed_over() -> None:
    noise = random.Random(1)
    groups = [[v + noise.gauss(0, 0.01) for _ in range(30)] for v in (0.0, 0.0, 0.8)]
    groups[0] = [v - sum(groups[0]) / 30 + 0.7901 for v in groups[0]]  # on the margin
    groups[2] = [v - sum(groups[2]) / 30 + 0.8 for v in groups[2]]
    groups[1] = [0.773, 0.793] * 3
    got = decided(*groups, looks=[{"share": 0.5}])
    assert [c.other.configuration.model for c in questions(got)][:2] == ["m0", "m1"]
    assert name(got, next_training(got, 10_000).config_id) in ("m0", "m2")
    assert name(got, next_training(got, 4).config_id) == "m1"


def test_what_fails_again_and_again_is_left_out() -> None:
    got = decided([0.78, 0.80], [0.79, 0.81])
    both = {c.configuration.config_id for c in got.candidates}
    first = next_training(got, 50).config_id
    assert next_training(got, 50, {first}).config_id in both - {first}
    assert next_training(got, 50, both).stopped == "seeds"


def test_without_a_second_seed_the_pair_gets_one() -> None:
    got = decided([0.80], [0.81])
    assert next_training(got, 50).config_id


def test_looks_share_the_error() -> None:
    assert level_at(0.95, 1.0) == pytest.approx(0.975)
    levels = [level_at(0.95, share) for share in (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)]
    assert levels == sorted(levels, reverse=True)
    assert normal_quantile(level_at(0.95, 0.25)) == pytest.approx(2 * normal_quantile(0.975), abs=1e-6)
    assert used_share(8, 24) == 0.25
    assert used_share(8, 0) == used_share(0, 0) == 1.0
    assert share_of([]) is None
    assert share_of([{"share": 0.2}, {"share": 0.4}]) == 0.4
    assert share_of([{"odd": 1}]) == 1.0


def test_random_walks_cross_the_boundary_as_often_as_promised() -> None:
    """Looks after every one of 200 equal steps; the discrete walk crosses a little less often than 5 %."""
    noise = random.Random(2)
    bounds = [normal_quantile(level_at(0.95, n / 200)) * n**0.5 for n in range(1, 201)]
    crossed = 0
    for _ in range(2000):
        total = 0.0
        for bound in bounds:
            total += noise.gauss(0, 1)
            if total > bound:
                crossed += 1
                break
    assert 0.02 < crossed / 2000 < 0.06


def test_the_decision_uses_the_level_of_its_last_look() -> None:
    groups = [0.70, 0.72, 0.71], [0.80, 0.82, 0.81]
    early, late, single = (
        decided(*groups, looks=[{"share": 0.2}]),
        decided(*groups, looks=[{"share": 1.0}]),
        decided(*groups),
    )
    assert early.level > late.level > single.level == pytest.approx(0.95)
    high = [next(c.deficit.high for c in d.comparisons) for d in (early, late, single)]
    assert high == sorted(high, reverse=True), "the bound that is printed is the one that decides"


def test_a_simulated_sweep_finds_the_cheap_model_that_is_as_good() -> None:
    found = simulate(EQUAL, 0.01, sweeps=5, max_trainings=120)
    assert found.found == found.settled == 1
    assert found.trainings < 100


@pytest.mark.slow
def test_simulated_sweeps_settle_rightly_and_need_fewer_trainings_than_equal_replication() -> None:
    found = simulate(EQUAL, 0.01, sweeps=100, max_trainings=80)
    assert found.found >= 0.87, "93 % of many"
    equal = simulate(EQUAL, 0.01, sweeps=100, max_trainings=160, equal=True)
    assert found.trainings <= 0.7 * equal.trainings
    for world, sd in ((APART, 0.02), (JUST_OUT, 0.01), (JUST_IN, 0.01)):
        assert simulate(world, sd, sweeps=200, max_trainings=60).wrong <= 0.06


def test_replicates_count_with_the_seeds_that_speak_for_a_configuration() -> None:
    search = [trial(i, seed=i, score=0.5) for i in (1, 2)]
    more = [trial(3, seed=3, score=0.8, role="replicate")]
    confirm = [trial(4, seed=4, score=0.6, role="confirm")]
    from src.decide.configurations import configurations

    def scores(trials: list[TrialRecord]) -> tuple[float, ...]:
        return configurations(trials, "val/mAP50-95")[0].scores

    assert scores([*search, *more]) == (0.5, 0.5, 0.8)
    assert scores([*search, *more, *confirm]) == (0.8, 0.6)
