"""The test split is opened once, wherever a kill falls between the two notes of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from src.pipeline import finish
from src.records import SweepRecord, load, save
from tests.report.factory import trial
from tests.test_config import composed


class KilledError(BaseException):
    """The process is gone: nothing catches it."""


class Stage:
    """The finalist stage of a sweep of one trial, with nothing to export: it keeps whether test was open."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.patch = folder, patch
        self.opened: list[bool] = []
        self.minutes = 0
        self.killed_in_stage = False
        folder.mkdir(exist_ok=True)
        save(folder / "sweep.json", SweepRecord("s", "grid", "", "", "i", {}, 1, "val/mAP50-95", {}, "2026-01-01"))
        patch.setattr(finish, "choose", lambda records, *_: records)
        patch.setattr(finish, "run_finalists", self._run)
        patch.setattr(finish, "test_replicates", lambda *_: [])
        patch.setattr(finish, "evaluate_sweep", lambda *_, **__: [])
        patch.setattr(finish, "log_evaluations", lambda *_: None)
        patch.setattr(finish, "now", self._now)

    def _run(self, *_: Any, test: bool) -> None:
        self.opened.append(test)
        if self.killed_in_stage:
            raise KilledError

    def _now(self) -> str:
        self.minutes += 1
        return f"2026-01-01T00:0{self.minutes}:00+00:00"

    def __call__(self, *words: str) -> list[str]:
        """Run the stage as the same command would; returns the openings that the sweep's record has afterwards."""
        record = load(SweepRecord, self.folder / "sweep.json")
        request: Any = SimpleNamespace(base=composed(*words), goals=None, config_of=lambda words: None)
        context: Any = SimpleNamespace(folder=self.folder)
        finish._finalise(request, record, [trial(0)], context, None)  # type: ignore[arg-type]
        return self.openings()

    def openings(self) -> list[str]:
        return load(SweepRecord, self.folder / "sweep.json").test_openings

    def killed(self, target: str, *, after: bool, words: tuple[str, ...] = ()) -> None:
        """Run the stage and end it at the first write with `target` (`save`, `write_text`), before or after it."""
        inner = getattr(finish, target)

        def write(*args: Any) -> None:
            if after:
                inner(*args)
            raise KilledError

        with self.patch.context() as patch:
            patch.setattr(finish, target, write)
            with pytest.raises(KilledError):
                self(*words)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(tmp_path / "sweep", monkeypatch)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("target", ["write_text", "save"])
def test_a_kill_at_a_note_neither_closes_test_nor_opens_it_twice(stage: Stage, target: str, after: bool) -> None:
    stage.killed(target, after=after)
    assert stage.opened == [], "it was noted before it was opened"
    assert len(stage()) == 1
    assert stage.opened == [True]
    assert len(stage()) == 1, "a finished stage is not repeated"
    assert stage.opened == [True]


def test_a_kill_while_test_is_open_is_gone_on_with_under_the_same_opening(stage: Stage) -> None:
    stage.killed_in_stage = True
    with pytest.raises(KilledError):
        stage()
    noted = stage.openings()
    stage.killed_in_stage = False
    assert stage() == noted
    assert stage.opened == [True, True]


@pytest.mark.parametrize("after", [False, True])
def test_only_reopening_opens_test_for_other_artifacts_and_a_kill_does_not_lose_the_second_note(
    stage: Stage, after: bool
) -> None:
    first = stage()
    assert stage("export.targets=[torchscript/fp32]") == first
    assert stage.opened == [True, False]
    words = ("export.targets=[openvino/fp32]", "decision.reopen=true")
    stage.killed("save", after=after, words=words)
    assert len(stage(*words[:1])) == 2, "the opening was begun: it goes on"
    assert stage.opened == [True, False, True]
    assert stage() == stage.openings()
    assert stage.opened[3:] == [False]
