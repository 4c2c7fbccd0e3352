"""The test split is opened once, for what was decided alone, wherever a kill falls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from src.pipeline import finish, judge_on_test
from src.pipeline.context import Context
from src.pipeline.measured import Findings
from src.records.schema import FinalistRecord, SweepRecord, TrialRecord
from src.records.store import load, save
from src.track import NullTracker
from tests.config.test_config import composed
from tests.report.factory import INT8, ONNX, PYTORCH, Target, finalist, trial

FASTER = Target(ms=1.0)


class KilledError(BaseException):
    """The process is gone: nothing catches it."""


def judged_files(record: FinalistRecord) -> list[tuple[str, str, str]]:
    return sorted((v.format, v.precision, v.runtime) for v in record.verifications if v.split == "test")


class Stage:
    """The finalist stage of a sweep with synthetic finalists: it keeps what was judged on test, in order."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.patch = folder, patch
        self.judged: list[int] = []
        self.measured = 0
        self.minutes = 0
        self.killed_in_stage = False
        self.trials = [trial(0, score=0.5), trial(1, score=0.5, seed=2), trial(2, score=0.9, imgsz=320)]
        self.trials += [trial(3, score=0.9, imgsz=320, seed=2)]
        self.targets: tuple[Target, ...] = (PYTORCH, ONNX)
        folder.mkdir(exist_ok=True)
        record = SweepRecord("friday", "grid", "", "", "i", {}, 4, "val/mAP50-95", {}, "2026-01-01")
        save(folder / "sweep.json", record)
        for t in self.trials:
            save(folder / "trials" / f"{t.trial:04d}" / "record.json", t)
        patch.setattr(finish, "run_finalists", self._run)
        patch.setattr(finish, "evaluate_sweep", lambda *_, **__: [])
        patch.setattr(finish, "log_evaluations", lambda *_: None)
        patch.setattr(finish, "log_judged", lambda *_: None)
        patch.setattr(judge_on_test, "verify", self._verify)
        patch.setattr(judge_on_test, "now", self._now)

    def _path(self, t: TrialRecord) -> Path:
        return self.folder / "trials" / f"{t.trial:04d}" / "finalist.json"

    def _run(self, finalists: list[tuple[TrialRecord, Any]], *_: Any) -> None:
        self.measured += 1
        for t, _cfg in finalists:
            new = finalist(t, self.targets, test=None)
            if self._path(t).is_file():  # as `run_finalists` keeps what is still the same
                old = load(FinalistRecord, self._path(t))
                same = {a.sha256 for a in new.artifacts}
                kept = [v for v in old.verifications if v.split == "test" and v.artifact_sha256 in same]
                new = replace(
                    new, verifications=[*new.verifications, *kept], test_metrics=old.test_metrics if kept else {}
                )
            save(self._path(t), new)

    def _verify(self, one: Findings, context: Any, inputs: Any, split: str, wanted: Any) -> None:
        assert split == "test"
        assert self.openings(), "an opening is noted before it happens"
        self.judged.append(one.record.trial)
        full = finalist(one.record, self.targets)
        one.test = full.test_metrics
        found = [v for v in full.verifications if v.split == "test"]
        one.verifications += [v for v in found if (v.format, v.precision, v.runtime) in wanted]
        if self.killed_in_stage:
            raise KilledError

    def _now(self) -> str:
        self.minutes += 1
        return f"2026-01-01T00:0{self.minutes}:00+00:00"

    def __call__(self, *words: str) -> list[str]:
        """Run the stage as the same command would; returns the openings that the sweep's record has afterwards."""
        record = load(SweepRecord, self.folder / "sweep.json")
        cfg = composed("decision.finalists=2", *words)
        request: Any = SimpleNamespace(base=cfg, goals=finish_goals(), config_of=lambda words: cfg)
        context = Context("friday", self.folder, self.folder.parent, NullTracker(), "", 1)
        finish._finalise(request, record, self.trials, context, None)  # type: ignore[arg-type]
        return self.openings()

    def openings(self) -> list[str]:
        return load(SweepRecord, self.folder / "sweep.json").test_openings

    def finalist(self, number: int) -> FinalistRecord:
        return load(FinalistRecord, self.folder / "trials" / f"{number:04d}" / "finalist.json")

    def killed(self, module: Any, target: str, *, nth: int = 1, after: bool, words: tuple[str, ...] = ()) -> None:
        """Run the stage and end it at the nth write with `target` (`save`, `write_text`), before or after it."""
        inner, calls = getattr(module, target), []

        def write(*args: Any) -> None:
            calls.append(args)
            if len(calls) < nth:
                inner(*args)
                return
            if after:
                inner(*args)
            raise KilledError

        with self.patch.context() as patch:
            patch.setattr(module, target, write)
            with pytest.raises(KilledError):
                self(*words)


def finish_goals() -> Any:
    from src.pipeline.selection import PLAIN

    return PLAIN


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(tmp_path / "friday", monkeypatch)


def test_only_what_was_decided_is_judged(stage: Stage) -> None:
    assert len(stage()) == 1
    assert stage.judged == [2], "the best is recommended: the cheaper one is far worse"
    assert judged_files(stage.finalist(2)) == [("onnx", "fp32", "onnxruntime"), ("pytorch", "fp32", "pytorch")]
    assert not stage.finalist(0).test_metrics
    assert not judged_files(stage.finalist(0))
    assert len([v for v in stage.finalist(2).verifications if v.split == "val"]) == 2, "val stays in the record"


def test_the_recommended_and_the_best_are_judged_where_they_differ(stage: Stage) -> None:
    assert len(stage("decision.margin=0.9")) == 1
    assert stage.judged == [0, 2]
    assert all(judged_files(stage.finalist(n)) for n in (0, 2))


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("module", "target", "nth"),
    [
        (finish, "save", 1), (finish, "write_text", 1), (judge_on_test, "write_text", 1), (judge_on_test, "save", 1),
        (judge_on_test, "save", 2), (judge_on_test, "save", 3), (finish, "save", 2), (finish, "write_text", 2),
    ],
)  # fmt: skip
def test_a_kill_between_any_two_steps_neither_closes_test_nor_opens_it_twice(
    stage: Stage, module: Any, target: str, nth: int, after: bool
) -> None:
    words = ("decision.margin=0.9",)
    stage.killed(module, target, nth=nth, after=after, words=words)
    assert len(stage(*words)) == 1
    assert set(stage.judged) == {0, 2}
    assert all(stage.finalist(n).test_metrics and judged_files(stage.finalist(n)) for n in (0, 2))
    judged, measured = list(stage.judged), stage.measured
    assert len(stage(*words)) == 1, "a finished stage is not repeated"
    assert (stage.judged, stage.measured) == (judged, measured)


def test_a_kill_while_test_is_open_is_gone_on_with_under_the_same_opening(stage: Stage) -> None:
    stage.killed_in_stage = True
    with pytest.raises(KilledError):
        stage()
    noted = stage.openings()
    stage.killed_in_stage = False
    assert stage() == noted
    assert stage.judged == [2, 2]
    assert stage.measured == 1, "what was measured is not measured again"


def test_another_decision_needs_reopening_unless_its_files_were_judged(stage: Stage) -> None:
    first = stage("decision.margin=0.9")
    assert stage() == first, "what is now recommended was judged as the best"
    assert stage.judged == [0, 2]
    assert stage("benchmark.rounds=7") == first, "measured again, but the files are the same"
    assert stage.measured == 2
    assert judged_files(stage.finalist(2)), "what test said of them is kept"
    stage.targets = (PYTORCH, FASTER, INT8)
    assert stage("export.targets=[onnx/fp32,onnx/int8]", "decision.max_latency_ms=5", "decision.max_export_loss=1") == (
        first
    ), "another file: test stays closed"
    assert stage.judged == [0, 2]


@pytest.mark.parametrize("after", [False, True])
def test_only_reopening_opens_test_for_other_files_and_a_kill_does_not_lose_the_second_note(
    stage: Stage, after: bool
) -> None:
    first = stage()
    words = ("decision.margin=0.9",)
    assert stage(*words) == first
    assert stage.judged == [2], "the cheaper one would need a second opening"
    stage.killed(judge_on_test, "save", after=after, words=(*words, "decision.reopen=true"))
    assert len(stage(*words)) == 2, "the opening was begun: it goes on"
    assert stage.judged == [2, 0]
    assert stage(*words, "decision.reopen=true") == stage.openings()
    assert stage.judged == [2, 0]


def test_what_stayed_closed_is_opened_by_the_remedy_that_was_told(stage: Stage) -> None:
    stage()
    stage("decision.margin=0.9")
    assert len(stage("decision.margin=0.9", "decision.reopen=true")) == 2
    assert stage.judged == [2, 0]


def test_nothing_is_judged_where_nothing_may_ship(stage: Stage) -> None:
    assert stage("decision.max_latency_ms=0.001") == []
    assert stage.judged == []
    assert len(stage()) == 1, "and the opening is still to be had"
