"""How many trainings run side by side when nobody says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from src.pipeline import side_by_side
from src.pipeline.side_by_side import in_any_order, workers_of
from src.sweeper.launchers import JobLauncher
from tests.pipeline.plan.test_cost import FIXED, request

TPE = {"_target_": "optuna.samplers.TPESampler", "seed": 7}


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "memory_gb", lambda: 64.0)


@pytest.mark.parametrize(
    ("words", "threads", "expected"),
    [
        (("imgsz=96,128", "seed=1,2"), 2, 2),
        (("imgsz=96,128", "seed=1,2"), 16, 2),  # a worker for each configuration, and no more
        (("imgsz=96,128,160", "seed=1,2"), 2, 1),  # two rounds of half the speed take longer than three
        (("lr=0.001,0.002,0.003,0.004,0.005", "seed=1"), 2, 2),
        (("imgsz=96,128",), 1, 1),
        (("seed=1,2,3,4",), 4, 1),  # the replicates of one configuration stay together
        (("lr=range(0.001,0.033,0.001)",), 32, 8),
    ],
)
def test_as_many_as_fill_the_machine(words: tuple[str, ...], threads: int, expected: int) -> None:
    assert workers_of(request(*words), threads) == expected


@pytest.mark.parametrize(
    "word", ["study.workers=1", "device=cuda", "epochs=2", "study.pruner=median", "study.pruner=asha"]
)
def test_one_after_the_other(word: str) -> None:
    assert workers_of(request("imgsz=96,128", "seed=1,2", fixed=(*FIXED, word)), 2) == 1


def test_what_is_configured_holds() -> None:
    assert workers_of(request("imgsz=96,128", fixed=(*FIXED, "study.workers=3", "epochs=1")), 2) == 3


def test_a_launchers_jobs_are_the_workers() -> None:
    asked = request("imgsz=96,128", fixed=(*FIXED, "study.workers=2"))
    launched = replace(asked, launcher=cast(JobLauncher, object()))
    assert (workers_of(asked, 2), workers_of(launched, 2)) == (2, 1)


def test_memory_is_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = request("lr=0.001,0.002,0.003,0.004", "imgsz=320,640", fixed=(*FIXED, "batch=8"))
    assert workers_of(asked, 4) == 4
    monkeypatch.setattr(side_by_side, "memory_gb", lambda: 29.0)
    assert workers_of(asked, 4) == 2


@pytest.mark.parametrize(
    ("sampler", "trials", "expected"),
    [
        (TPE, 20, True),  # ten configurations of two seeds: all are drawn before it learns
        (TPE, 22, False),
        ({**TPE, "n_startup_trials": 3}, 20, False),
        ({"_target_": "optuna.samplers.RandomSampler", "seed": 1}, 100, True),
        ({"_target_": "optuna.samplers.CmaEsSampler"}, 4, False),
    ],
)
def test_a_sampler_that_learns_is_given_one_result_after_the_other(
    sampler: dict[str, Any], trials: int, expected: bool
) -> None:
    asked = request("lr=interval(0.001,0.01)", "seed=1,2", n_trials=trials)
    assert in_any_order(replace(asked, sampler=sampler)) is expected
