"""The decision's properties, for any candidates and limits."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.common.statistics import pooled_sd, spread, t_quantile, t_two_sided
from src.config import DecisionConfig
from src.records import FinalistRecord, SweepRecord, TrialRecord
from src.report.candidates import Candidate
from src.report.difference import holm, noise_of
from src.report.limits import feasible
from src.report.load import Saved
from src.report.rank import Ranking, choose, cost, pareto, rank
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


def ranked(saved: Saved, **limits: float) -> Ranking:
    return rank(saved, decision(**limits))


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
def test_the_winner_is_feasible_tied_and_cheapest(saved: Saved) -> None:
    got = ranked(saved)
    assert got.winner is not None
    assert got.best is not None
    assert got.winner.key in got.feasible
    pool = [got.best, *(c.other for c in got.tied)]
    assert got.winner in pool
    assert cost(got.winner, got.statistic) == min(cost(c, got.statistic) for c in pool)
    assert got.best.score.mean == max(c.score.mean for c in got.candidates if c.key in got.feasible)


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
    front = pareto(got.candidates, got.statistic, got.noise)
    assert front
    fastest = min(got.candidates, key=lambda c: (cost(c, got.statistic), -c.score.mean))
    assert all(cost(fastest, got.statistic) <= cost(c, got.statistic) for c in front)


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_never_lowers_a_p_value(values: list[float]) -> None:
    adjusted = holm(values)
    assert all(p <= q <= 1 for p, q in zip(values, adjusted, strict=True))
    if values:
        assert min(adjusted) == min(1.0, min(values) * len(values))


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_spread_by_hand() -> None:
    s = spread([0.4, 0.5, 0.6])
    assert [s.n, s.mean, s.sd] == pytest.approx([3, 0.5, 0.1])
    assert [s.low, s.high] == pytest.approx([0.5 - 0.24841, 0.5 + 0.24841], abs=1e-4)
    assert math.isnan(spread([0.4]).sd)
    assert list(pooled_sd([[0.4, 0.6], [0.5]])) == pytest.approx([math.sqrt(0.02), 1])


def test_a_large_gap_is_no_tie_and_a_small_one_is() -> None:
    steady = [trial(i, "v8n", seed=i, score=0.50 + 0.002 * i) for i in range(3)]
    better = [trial(3 + i, "v11n", seed=i, score=0.60 + 0.002 * i) for i in range(3)]
    close = [trial(6 + i, "v12n", seed=i, score=0.599 + 0.002 * i) for i in range(3)]
    fast, slow = replace(ONNX, ms=2.0), replace(ONNX, ms=20.0)
    saved = Saved(
        Path("f"),
        SWEEP,
        [*steady, *better, *close],
        {0: finalist(steady[0], (fast,)), 3: finalist(better[0], (slow,)), 6: finalist(close[0], (ONNX,))},
        {},
    )
    got = ranked(saved)
    assert got.best is not None
    assert got.winner is not None
    assert got.best.configuration.model == "v11n"
    assert [c.other.configuration.model for c in got.tied] == ["v12n"]
    assert got.winner.configuration.model == "v12n"  # tied and cheaper; v8n is cheaper still, but worse


def test_a_named_runtime_is_kept(tmp_path: Path) -> None:
    one = [trial(i, seed=i) for i in range(2)]
    saved = Saved(Path("f"), SWEEP, one, {0: finalist(one[0], (PYTORCH, ONNX, INT8))}, {})
    got = rank(saved, replace(decision(), runtime="pytorch"))
    assert got.winner is not None
    assert got.winner.runtime == "pytorch"


def test_choosing_again_gives_the_same(tmp_path: Path) -> None:
    from src.report import load_ranking

    got = load_ranking(study().write(tmp_path))
    noise = noise_of(got.configurations, got.decision.max_export_loss)
    again = choose(got.candidates, got.decision, noise, got.statistic)
    assert again.winner is got.winner
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
    assert infeasible(c, min_map=0.391)  # test is 0.39
    assert not infeasible(c, min_map=0.389)


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
        chosen = ranked(Saved(Path("friday"), SWEEP, [own], {0: record}, {})).winner
        assert chosen is not None
        return chosen.precision

    assert winner(found) == "int8"
    failed = [replace(v, gate="fail") if v.precision == "int8" else v for v in found.verifications]
    assert winner(replace(found, verifications=failed)) == "fp32"
    slow = [replace(m, extra={"slower_than_fp32": 1.0}) if m.precision == "int8" else m for m in found.measurements]
    assert winner(replace(found, measurements=slow)) == "fp32"
