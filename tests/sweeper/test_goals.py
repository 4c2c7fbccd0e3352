"""Objectives and constraints: read as typed, aggregated over seeds, and refused where they make no sense."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.common.errors import UserError
from src.config.schema import Pruner, StudyConfig
from src.sweeper.goals import Bound, Goals, Objective, best_first, check_seeds, parse_goals, samples_needed

MAP = "val/mAP50-95"


def study(**keys: object) -> StudyConfig:
    return StudyConfig(name="x", **keys)  # type: ignore[arg-type]


def test_directions_are_known_and_can_be_turned() -> None:
    goals = parse_goals(study(objectives=["mAP50-95", "latency_p50_ms", "max size_mb"]))
    assert [(o.name, o.maximize) for o in goals.objectives] == [
        ("mAP50-95", True),
        ("latency_p50_ms", False),
        ("size_mb", True),
    ]
    assert [o.metric for o in goals.objectives] == [MAP, "arch/latency_p50_ms", "arch/size_mb"]
    assert goals.needs_costs


@pytest.mark.parametrize(
    ("words", "broken"),
    [("latency_p95_ms <= 30", 31.0), ("latency_p95_ms<=3e1", 30.001), ("recall >= 0.5", 0.499)],
)
def test_a_constraint_holds_up_to_its_limit(words: str, broken: float) -> None:
    (bound,) = parse_goals(study(constraints=[words])).bounds
    assert bound.excess(broken) > 0 >= bound.excess(bound.limit)
    assert parse_goals(study(constraints=[bound.words])).bounds == (bound,)


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        ({"objectives": []}, "study.objectives"),
        ({"objectives": ["mAP"]}, "study.objectives"),
        ({"objectives": ["up mAP50-95"]}, "study.objectives"),
        ({"objectives": ["f1", "max f1"]}, "twice"),
        ({"constraints": ["latency_p95_ms < 30"]}, "study.constraints"),
        ({"constraints": ["latency_p95_ms <= fast"]}, "study.constraints"),
        ({"constraints": ["latency_p95_ms <= 1e999"]}, "study.constraints"),
        ({"constraints": ["speed <= 30"]}, "study.constraints"),
        ({"objectives": ["mAP50-95", "size_mb"], "pruner": Pruner.asha}, "several objectives"),
        ({"objectives": ["recall"], "pruner": Pruner.median}, "not the objective"),
        ({"lower_bound": -1.0}, "study.lower_bound"),
    ],
)
def test_goals_without_sense_are_refused(keys: dict[str, object], names: str) -> None:
    with pytest.raises(UserError, match=names):
        parse_goals(study(**keys))


def test_what_needs_seeds_is_refused_without_them() -> None:
    check_seeds(study(lower_bound=1.0), 2)
    check_seeds(study(pruner=Pruner.wilcoxon), 5)
    with pytest.raises(UserError, match="spread over seeds"):
        check_seeds(study(lower_bound=1.0), 1)
    with pytest.raises(UserError, match="replicates"):
        check_seeds(study(pruner=Pruner.wilcoxon), 4)


def test_a_configuration_is_worth_the_mean_over_its_seeds_or_a_bound_below_it() -> None:
    seeds = [{MAP: 0.2}, {MAP: 0.6}]
    assert Goals().values(seeds) == pytest.approx((0.4,))
    # standard deviation 0.2828, over two seeds a standard error of 0.2
    assert Goals(lower_bound=1.0).values(seeds) == pytest.approx((0.2,))
    down = Goals((Objective("latency_p50_ms", False),), lower_bound=1.0)
    assert down.values([{"arch/latency_p50_ms": v} for v in (4.0, 6.0)]) == pytest.approx((6.0,))


def test_a_missing_figure_gives_no_value() -> None:
    assert Goals().values([]) == ()
    assert Goals().values([{MAP: math.nan}]) == ()
    assert Goals((Objective("mAP50-95", True), Objective("size_mb", False))).values([{MAP: 0.5}]) == ()


def test_only_what_is_known_can_break_a_constraint() -> None:
    goals = Goals(bounds=(Bound("size_mb", 5.0, True), Bound("recall", 0.8, False)))
    assert [b.name for b in goals.broken({"arch/size_mb": 6.0})] == ["size_mb"]
    assert goals.broken({"arch/size_mb": 5.0}) == []
    excess = goals.excesses([{"arch/size_mb": 6.0, "val/recall": 0.7}, {"arch/size_mb": 6.0, "val/recall": 0.9}])
    assert excess == pytest.approx({"size_mb <= 5": 1.0, "recall >= 0.8": 0.0})


def test_a_percentile_asks_for_the_samples_that_support_it() -> None:
    assert samples_needed(parse_goals(study(constraints=["latency_p99_ms <= 30"]))) == 662
    assert samples_needed(parse_goals(study(objectives=["mAP50-95", "latency_p50_ms"]))) == 1


def test_the_report_ranks_by_the_first_objective_of_a_training() -> None:
    assert parse_goals(study(objectives=["latency_p50_ms", "recall"])).selects == "val/recall"
    assert parse_goals(study(objectives=["latency_p50_ms"])).selects == MAP


OBJECTIVES = (Objective("mAP50-95", True), Objective("latency_p50_ms", False))


def test_the_pareto_front_comes_first() -> None:
    values = [(0.5, 9.0), (0.6, 9.0), (0.4, 3.0), (0.4, 4.0)]
    assert best_first(values, OBJECTIVES) == [1, 2, 0, 3]
    assert best_first([(0.1,), (0.3,), (0.2,)], OBJECTIVES[:1]) == [1, 2, 0]
    assert best_first([(9.0,), (3.0,)], OBJECTIVES[1:]) == [1, 0]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=12))
def test_nothing_comes_before_what_beats_it(rows: list[tuple[int, int]]) -> None:
    values = [(float(a), float(b)) for a, b in rows]
    order = best_first(values, OBJECTIVES)
    assert sorted(order) == list(range(len(values)))
    place = {index: i for i, index in enumerate(order)}
    for i, (a, b) in enumerate(values):
        for j, (c, d) in enumerate(values):
            if a >= c and b <= d and (a, b) != (c, d):
                assert place[i] < place[j]
