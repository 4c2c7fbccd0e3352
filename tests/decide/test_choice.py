"""The decision's properties, for any candidates and limits."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.common.statistics import spread, t_quantile, t_two_sided
from src.config.schema import DecisionConfig
from src.decide.candidates import Candidate
from src.decide.choice import Decision, choose, decide
from src.decide.limits import feasible
from src.decide.load import Saved
from src.decide.open_questions import open_questions
from src.decide.pareto import pareto
from src.decide.speed import cost
from src.decide.uncertainty import SAME
from src.decide.verdict import verdict
from src.records.schema import FinalistRecord, SweepRecord, TrialRecord
from tests.report.factory import INT8, ONNX, PYTORCH, Target, finalist, study, trial

SWEEP = SweepRecord("friday", "study", "run", "", "0", {}, 4, "val/mAP50-95", {}, "2026-11-21T08:00:00+00:00")
MODELS = ("v8n", "v9t", "v11n", "v12n")
AT_MOST = ("max_latency_ms", "max_size_mb", "max_memory_mb", "max_export_loss")

scores = st.floats(0.05, 0.95)
targets = st.builds(
    Target,
    format=st.just("onnx"),
    precision=st.sampled_from(["fp32", "int8", "fp16"]),
    runtime=st.just("onnxruntime"),
    kept=st.floats(0.5, 1.05),
    ms=st.floats(0.5, 80),
    size_mb=st.floats(1, 60),
)


@st.composite
def sweeps(draw: st.DrawFn) -> Saved:
    """Up to four models with up to three seeds and up to three artifacts each."""
    trials: list[TrialRecord] = []
    finalists = {}
    for model in MODELS[: draw(st.integers(1, 4))]:
        own = [
            trial(len(trials) + s, model, seed=s, score=score)
            for s, score in enumerate(draw(st.lists(scores, min_size=1, max_size=3)))
        ]
        trials += own
        made = draw(st.lists(targets, min_size=1, max_size=3, unique_by=lambda t: t.precision))
        finalists[own[0].trial] = finalist(own[0], tuple(made))
    return Saved(Path("friday"), SWEEP, trials, finalists, {})


def decision(**limits: float) -> DecisionConfig:
    return DecisionConfig(**{"name": "test", "latency": "p95", "max_export_loss": 1.0, **limits})  # type: ignore[arg-type]


def ranked(saved: Saved, **limits: float) -> Decision:
    return decide(saved, decision(**limits))


@settings(deadline=None, max_examples=60)
@given(sweeps(), st.sampled_from(AT_MOST), st.floats(0.01, 100), st.floats(1, 5))
def test_raising_a_limit_keeps_what_was_feasible(saved: Saved, key: str, limit: float, factor: float) -> None:
    before, after = ranked(saved, **{key: limit}), ranked(saved, **{key: limit * factor})
    assert before.feasible <= after.feasible


@settings(deadline=None, max_examples=60)
@given(sweeps(), st.floats(0.01, 0.9), st.floats(0, 1))
def test_lowering_a_floor_keeps_what_was_feasible(saved: Saved, floor: float, factor: float) -> None:
    assert ranked(saved, min_map=floor).feasible <= ranked(saved, min_map=floor * factor).feasible


@settings(deadline=None, max_examples=60)
@given(sweeps())
def test_what_is_recommended_is_feasible_and_within_the_margin_or_the_best(saved: Saved) -> None:
    got = ranked(saved)
    assert got.recommended is not None
    assert got.best is not None
    assert got.recommended.key in got.feasible
    assert got.best.score.mean == max(c.score.mean for c in got.candidates if c.key in got.feasible)
    found = got.comparison(got.recommended)
    if found is not None and got.best.score.mean - got.recommended.score.mean > SAME:
        assert found.within
        assert found.deficit.high <= got.settings.margin


@settings(deadline=None, max_examples=60)
@given(sweeps(), st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_wider_margin_keeps_what_was_within_it(saved: Saved, a: float, b: float) -> None:
    narrow, wide = (
        decide(saved, replace(decision(), margin=min(a, b))),
        decide(saved, replace(decision(), margin=max(a, b))),
    )
    assert {c.other.key for c in narrow.comparisons if c.within} <= {c.other.key for c in wide.comparisons if c.within}


@settings(deadline=None, max_examples=60)
@given(sweeps(), st.randoms())
def test_the_order_of_records_does_not_matter(saved: Saved, shuffler: object) -> None:
    trials = list(saved.trials)
    shuffler.shuffle(trials)  # type: ignore[attr-defined]
    again = ranked(
        replace(saved, trials=sorted(trials, key=lambda t: t.trial), finalists=dict(reversed(saved.finalists.items())))
    )
    assert [c.key for c in ranked(saved).candidates] == [c.key for c in again.candidates]


@settings(deadline=None, max_examples=60)
@given(sweeps())
def test_the_pareto_front_is_never_empty(saved: Saved) -> None:
    got = ranked(saved)
    front = pareto(got.candidates, got.statistic)
    assert front
    fastest = min(got.candidates, key=lambda c: (cost(c, got.statistic), -c.score.mean))
    assert all(cost(fastest, got.statistic) <= cost(c, got.statistic) for c in front)


def test_spread_by_hand() -> None:
    s = spread([0.4, 0.5, 0.6])
    assert [s.n, s.mean, s.sd] == pytest.approx([3, 0.5, 0.1])
    assert [s.low, s.high] == pytest.approx([0.5 - 0.24841, 0.5 + 0.24841], abs=1e-4)
    assert math.isnan(spread([0.4]).sd)


def three_models(gap: float, seeds: int) -> Saved:
    """v8n is fast and worse by 0.1, v12n is fast and worse by `gap`, v11n is slow and the best."""
    noise = (-0.002, 0.0, 0.002, 0.001, -0.001)[:seeds]
    worse = [trial(i, "v8n", seed=i, score=0.50 + x) for i, x in enumerate(noise)]
    best = [trial(10 + i, "v11n", seed=i, score=0.60 + x) for i, x in enumerate(noise)]
    close = [trial(20 + i, "v12n", seed=i, score=0.60 - gap + x) for i, x in enumerate(noise)]
    fast, slow = replace(ONNX, ms=2.0), replace(ONNX, ms=20.0)
    finalists = {0: finalist(worse[0], (fast,)), 10: finalist(best[0], (slow,)), 20: finalist(close[0], (ONNX,))}
    return Saved(Path("f"), SWEEP, [*worse, *best, *close], finalists, {})


def chosen_of(saved: Saved, **settings: float) -> str:
    got = decide(saved, replace(decision(), **settings))  # type: ignore[arg-type]
    assert got.recommended is not None
    return got.recommended.configuration.model


def test_a_cheaper_model_ships_only_when_it_is_shown_to_be_within_the_margin() -> None:
    assert chosen_of(three_models(0.001, 5)) == "v12n"
    assert chosen_of(three_models(0.009, 5)) == "v11n"  # 0.009 below, but nobody can be sure that it is not 0.011
    assert chosen_of(three_models(0.009, 5), margin=0.03) == "v12n"
    assert chosen_of(three_models(0.001, 5), margin=0.2) == "v8n"
    assert chosen_of(three_models(0.001, 5), margin=0.0) == "v11n"


def test_less_evidence_never_ships_a_cheaper_one() -> None:
    assert chosen_of(three_models(0.001, 1)) == "v11n"  # one seed: nothing is known of the spread
    assert chosen_of(three_models(0.001, 1), seed_sd=0.001) == "v12n"  # unless it is known from elsewhere


def test_what_is_cheaper_and_undecided_is_open_and_says_what_would_settle_it() -> None:
    got = decide(three_models(0.009, 3), decision())
    (question,) = open_questions(got)
    assert question.candidate.configuration.model == "v12n"
    assert question.seeds is not None
    assert question.seeds > 3
    assert question.comparison.deficit.low <= got.settings.margin < question.comparison.deficit.high
    assert got.comparisons[-1].deficit.status == "worse" or any(c.deficit.status == "worse" for c in got.comparisons)


@pytest.mark.parametrize("files", [1, 3, 6, 12])
def test_copies_of_one_file_are_no_further_hypotheses(files: int) -> None:
    saved = three_models(0.001, 5)
    copies = tuple(replace(ONNX, runtime=f"engine{i}", ms=6.0 + i) for i in range(files))
    saved.finalists[20] = finalist(saved.trials[10], copies)
    got = decide(saved, decision())
    bounds = {c.deficit.high for c in got.comparisons if c.other.configuration.model == "v12n"}
    assert len(bounds) == 1
    assert bounds.pop() == pytest.approx(
        next(
            c.deficit.high
            for c in decide(three_models(0.001, 5), decision()).comparisons
            if c.other.configuration.model == "v12n"
        )
    )
    assert got.recommended is not None
    assert got.recommended.runtime == "engine0"


def test_a_named_runtime_is_kept(tmp_path: Path) -> None:
    one = [trial(i, seed=i) for i in range(2)]
    saved = Saved(Path("f"), SWEEP, one, {0: finalist(one[0], (PYTORCH, ONNX, INT8))}, {})
    got = decide(saved, replace(decision(), runtime="pytorch"))
    assert got.recommended is not None
    assert got.recommended.runtime == "pytorch"


def test_choosing_again_gives_the_same(tmp_path: Path) -> None:
    from src.report import load_decision

    got = load_decision(study().write(tmp_path))
    again = choose(got.candidates, got.settings, got.statistic, got.level)
    assert again.recommended is got.recommended
    assert {c.key for c in again.feasible} == got.feasible


def infeasible(c: Candidate, **limits: float) -> bool:
    return not feasible(c, decision(**limits))


def test_each_limit_binds(tmp_path: Path) -> None:
    one = trial(0)
    (c,) = ranked(Saved(Path("f"), SWEEP, [one], {0: finalist(one, (ONNX,))}, {})).candidates
    assert infeasible(c, max_latency_ms=6.0)  # p95 is 6.72
    assert not infeasible(c, max_latency_ms=6.73)
    assert infeasible(c, max_size_mb=11.9)
    assert infeasible(c, max_memory_mb=101.9)
    assert infeasible(c, min_throughput_ips=167)
    assert infeasible(c, min_map=0.401)  # val is 0.40; test, which would be 0.39, takes no part
    assert not infeasible(c, min_map=0.399)


def test_the_capacity_that_is_sure_must_reach_its_limit() -> None:
    record = finalist(trial(0), (ONNX,))
    extra = {"capacity_p99_ms": 100.0, "capacity_rps": 30.0, "capacity_low_rps": 25.0}
    known = replace(record, measurements=[replace(m, extra=m.extra | extra) for m in record.measurements])
    (c,) = ranked(Saved(Path("f"), SWEEP, [trial(0)], {0: known}, {})).candidates
    assert not infeasible(c, min_capacity_rps=25)
    assert infeasible(c, min_capacity_rps=26)  # 30 is not sure
    assert infeasible(c, min_capacity_rps=10, max_p99_ms=50)  # another promise was not measured
    (unmeasured,) = ranked(Saved(Path("f"), SWEEP, [trial(0)], {0: record}, {})).candidates
    assert infeasible(unmeasured, min_capacity_rps=1)


@pytest.mark.parametrize("freedom", [1, 2, 3.7, 10, 100, 5000])
def test_students_t_agrees_with_scipy(freedom: float) -> None:
    from scipy.special import stdtr, stdtrit

    for probability in (0.5001, 0.9, 0.975, 0.9995):
        assert t_quantile(probability, freedom) == pytest.approx(
            float(stdtrit(freedom, probability)), rel=1e-9, abs=1e-9
        )
    for t in (0.0, 0.3, -2.0, 8.0):
        assert t_two_sided(t, freedom) == pytest.approx(float(2 * stdtr(freedom, -abs(t))), rel=1e-9)


def test_a_failed_gate_or_a_reduction_for_nothing_is_never_recommended() -> None:
    own = trial(0, "v8n", seed=1, score=0.6)
    fast = Target(format="onnx", precision="int8", runtime="onnxruntime", kept=1.0, ms=1.0, size_mb=3.0)
    plain = Target(format="onnx", precision="fp32", runtime="onnxruntime", kept=1.0, ms=9.0, size_mb=12.0)
    found = finalist(own, (fast, plain))

    def winner(record: FinalistRecord) -> str:
        chosen = ranked(Saved(Path("friday"), SWEEP, [own], {0: record}, {})).recommended
        assert chosen is not None
        return chosen.precision

    assert winner(found) == "int8"
    failed = [replace(v, gate="fail") if v.precision == "int8" else v for v in found.verifications]
    assert winner(replace(found, verifications=failed)) == "fp32"
    slow = [replace(m, extra={"slower_than_fp32": 1.0}) if m.precision == "int8" else m for m in found.measurements]
    assert winner(replace(found, measurements=slow)) == "fp32"


def test_a_tie_of_speed_between_runtimes_is_told_apart_from_what_is_not_decided() -> None:
    one = [trial(i, seed=i, score=0.6 + 0.001 * i) for i in range(3)]
    rounds = {
        "a": [2.0, 2.02, 1.98, 2.0],
        "b": [2.01, 2.02, 1.99, 2.0],
        "c": [2.5, 9.0, 2.1, 2.0],
        "d": [9.0, 9.1, 8.9, 9.0],
    }
    made = finalist(one[1], tuple(replace(ONNX, runtime=name, ms=2.0) for name in rounds))
    timed = [replace(m, rounds={"p95": rounds[m.runtime]}) for m in made.measurements]
    costs = [
        replace(m, latency=replace(m.latency, p95=sum(r) / 4)) for m, r in zip(timed, rounds.values(), strict=True)
    ]
    got = decide(Saved(Path("f"), SWEEP, one, {1: replace(made, measurements=costs)}, {}), decision())
    assert got.recommended is not None
    assert got.recommended.runtime == "a"
    told = {n.key: n.values.get("places") for n in verdict(got).reasons}
    assert told["reason_speed_tie"] == "onnx/fp32 · b"
    assert told["reason_speed_open"] == "onnx/fp32 · c"
