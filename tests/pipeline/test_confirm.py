"""Confirmation: what was chosen is trained again with seeds that took no part in the choice."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.pipeline.confirm import fresh_seeds, shipped
from src.records.schema import TrialRecord
from tests.pipeline.toy_sweep import finished, records, start
from tests.report.factory import trial


def sweep(home: Path, *words: str) -> list[TrialRecord]:
    study = ["-m", "lr=0.001,0.002", "seed=1,2", "epochs=2", "sweep=toy", "study.report=false"]
    rest = ["decision.finalists=1", "tracking.system_metrics=false", *words]
    finished(start(home, "tests.pipeline.toy", [*study, *rest]))
    return records(home)


@pytest.mark.slow
def test_the_best_configuration_is_trained_again_with_fresh_seeds_once(tmp_path: Path) -> None:
    first = sweep(tmp_path, "decision.confirm_seeds=2")
    assert [(r.trial, r.role, r.lr, r.seed) for r in first] == [
        (0, "search", 0.001, 1),
        (1, "search", 0.001, 2),
        (2, "search", 0.002, 1),
        (3, "search", 0.002, 2),
        (4, "confirm", 0.001, 3),
        (5, "confirm", 0.001, 4),
    ]
    assert first[4].config_id == first[0].config_id
    assert len({r.run_id for r in first}) == 6, "each is a run of its own"

    # A process that died before its record was saved goes on under its number.
    (tmp_path / "outputs/sweeps/toy/trials/0004/record.json").unlink()
    again = sweep(tmp_path, "decision.confirm_seeds=3")
    assert [(r.trial, r.seed) for r in again[4:]] == [(4, 3), (5, 4), (6, 5)]
    assert again[5] == first[5], "what is finished is not trained again"
    assert again[4].run_id == first[4].run_id


def test_fresh_seeds_follow_those_of_the_search() -> None:
    assert fresh_seeds([trial(0, seed=42), trial(1, seed=7)], 3) == [43, 44, 45]


def test_a_fresh_replicate_is_shipped_where_there_is_one() -> None:
    chosen = [trial(0, score=0.9), trial(1, score=0.8, lr=0.01)]
    fresh = [trial(n, seed=n, score=score, role="confirm") for n, score in ((5, 0.6), (6, 0.7), (8, 0.65))]
    lost = trial(7, seed=7, lr=0.01, state="failed", metrics={}, role="confirm")
    assert [r.trial for r in shipped(chosen, [*chosen, *fresh, lost])] == [8, 1], "the median, not the luckiest"
