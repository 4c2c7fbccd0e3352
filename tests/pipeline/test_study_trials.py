"""What a worker does with one configuration: refuse it, train its replicates, or give it up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from src.cli.progress import Watch
from src.config.schema import Pruner, StudyConfig
from src.models.base import Start
from src.pipeline import study_trials
from src.pipeline.exchange import Alone
from src.pipeline.one_trial import Trial
from src.pipeline.study_trials import CellRunner
from src.sweeper.goals import parse_goals
from src.sweeper.loop import Outcome
from src.sweeper.pruner import make_pruner
from src.sweeper.space import parse_space
from src.sweeper.storage import open_storage
from src.sweeper.study import Study


class Request:
    """The part of a request that a runner looks at."""

    halving = None

    def __init__(self, study: StudyConfig, seeds: list[int], cells: int) -> None:
        self.base = type("Base", (), {"study": study})()
        self.seeds, self.goals = seeds, parse_goals(study)
        sizes = ",".join(str(32 * i) for i in range(1, cells + 1))
        self.space = parse_space({}, [f"imgsz={sizes}", f"seed={','.join(map(str, seeds))}"], n_trials=None)

    def trials(self) -> int:
        return (self.space.size() or 0) * len(self.seeds)

    def config_of(self, words: list[str]) -> dict[str, int]:
        return {key: int(value) for key, value in (word.split("=") for word in words)}


class Listening(Alone):
    """Remembers what it was asked to send."""

    def __init__(self, seen: list[str]) -> None:
        self._seen = seen

    def send(self, trial: int) -> None:
        self._seen.append(f"{trial} sent")


class Context:
    """A folder without records."""

    def __init__(self, folder: Path, seen: list[str]) -> None:
        self.folder, self.exchange = folder, Listening(seen)


class Costs:
    """A latency of 1 ms per 32 px."""

    def of(self, cfg: Mapping[str, int]) -> dict[str, float]:
        return {"arch/latency_p50_ms": cfg["imgsz"] / 32}


class Record:
    """The part of a record that a runner looks at."""

    def __init__(self, number: int, state: str, metrics: Mapping[str, float], reason: str = "") -> None:
        self.trial, self.state, self.metrics, self.overrides = number, state, dict(metrics), [str(number)]
        self.history: list[dict[str, float]] = []
        self.timings_s: dict[str, float] = {}
        self.failures = [type("F", (), {"kind": "refused", "message": reason})()] if reason else []


class Bench:
    """Runs all cells of a small grid, and remembers what was trained and what was refused."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, cfg: StudyConfig, worth: Any, **size: Any) -> None:
        self.trained: list[int] = []
        self.seen: list[str] = []  # trainings and sendings, in their order
        self.refused: list[tuple[int, str, str]] = []

        def run_trial(trial: Trial, *_: Any) -> Record:
            self.trained.append(trial.number)
            self.seen.append(f"{trial.number} trained")
            return Record(trial.number, "complete", {**trial.known, "val/mAP50-95": worth(trial.cfg)})

        def refuse(trial: Trial, *_: Any, state: str, reason: str) -> Record:
            self.refused.append((trial.number, state, reason))
            return Record(trial.number, state, trial.known, reason)

        def made(number: int, words: list[str], cfg: Any, *_: Any, known: Mapping[str, float], **_more: Any) -> Trial:
            nothing: Any = None
            return Trial(number, words, cfg, nothing, Start(None, "scratch"), folder, known=known)

        patch.setattr(study_trials, "run_trial", run_trial)
        patch.setattr(study_trials, "refuse_trial", refuse)
        patch.setattr(study_trials, "trial_of", made)
        patch.setattr(study_trials, "finished_and_closed", lambda *_: None)
        request: Any = Request(cfg, **size)
        runner = CellRunner(request, Context(folder, self.seen), None, Watch(0, 0), Costs())  # type: ignore[arg-type]
        maximize = [o.maximize for o in request.goals.objectives]
        storage = open_storage(None, folder / "s.log")
        pruner = make_pruner(cfg, 5)
        self.study = Study(storage, request.space, {}, None, pruner=pruner, maximize=maximize)
        self.study.lay_out()
        self.outcomes: list[Outcome] = []
        while (cell := self.study.claim()) is not None:
            outcome = runner.run(cell)
            self.study.tell(cell, outcome.values, pruned=outcome.pruned, constraints=outcome.constraints)
            self.outcomes.append(outcome)


def study(**keys: Any) -> StudyConfig:
    return StudyConfig(name="x", **keys)


def test_an_architecture_that_breaks_a_constraint_is_not_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = study(constraints=["latency_p50_ms <= 1.5"])
    bench = Bench(tmp_path, monkeypatch, cfg, lambda c: 0.5, seeds=[1, 2], cells=2)
    assert bench.trained == [0, 1], "only the replicates of 32 px"
    assert [(n, s) for n, s, _ in bench.refused] == [(2, "infeasible"), (3, "infeasible")]
    assert "latency_p50_ms is 2, not <= 1.5" in bench.refused[0][2]
    assert bench.outcomes[1].constraints == {"latency_p50_ms <= 1.5": 0.5}


def test_values_follow_the_objectives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = study(objectives=["mAP50-95", "latency_p50_ms"])
    bench = Bench(tmp_path, monkeypatch, cfg, lambda c: c["imgsz"] / 100 + c["seed"] / 100, seeds=[1, 3], cells=2)
    assert [tuple(o.values) for o in bench.outcomes] == [pytest.approx((0.34, 1.0)), pytest.approx((0.66, 2.0))]


def test_a_replicate_is_sent_before_the_next_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path, monkeypatch, study(), lambda c: 0.5, seeds=[1, 2], cells=1)
    assert bench.seen[:4] == ["0 trained", "0 sent", "1 trained", "1 sent"]


def test_replicates_that_cannot_win_are_not_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first configuration is the better one for every seed; the second is given up before its seeds are through."""
    seeds = list(range(1, 11))
    cfg = study(pruner=Pruner.wilcoxon)

    def worth(c: Mapping[str, int]) -> float:
        return (0.6 if c["imgsz"] == 32 else 0.5) + c["seed"] / 1000

    bench = Bench(tmp_path, monkeypatch, cfg, worth, seeds=seeds, cells=2)
    assert bench.trained[:10] == list(range(10))
    saved = 20 - len(bench.trained)
    assert 4 <= saved <= 7, "the signed-rank test needs four or five pairs to tell"
    assert {s for _, s, _ in bench.refused} == {"pruned"}
    assert [o.pruned for o in bench.outcomes] == [False, True]


def test_equal_replicates_are_not_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(
        tmp_path, monkeypatch, study(pruner=Pruner.wilcoxon), lambda c: c["seed"] / 10, seeds=list(range(1, 9)), cells=2
    )
    assert len(bench.trained) == 16


def numbers(rows: Sequence[tuple[int, str, str]]) -> list[int]:
    return [row[0] for row in rows]


def test_a_configuration_whose_first_replicate_was_pruned_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Record

    def pruned(number: int, state: str, metrics: Mapping[str, float], reason: str = "") -> Record:
        return original(number, "pruned" if number == 3 else state, metrics, reason)

    monkeypatch.setitem(globals(), "Record", pruned)
    bench = Bench(tmp_path, monkeypatch, study(pruner=Pruner.median), lambda c: 0.5, seeds=[1, 2, 3], cells=2)
    assert bench.trained == [0, 1, 2, 3]
    assert numbers(bench.refused) == [4, 5]
    assert bench.outcomes[1].pruned
