"""Hostile input ends in exit 2 or a listed skip, quickly, without a traceback, a torn file or code that ran."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.hostile import harness
from tests.hostile.case import HOME, REFUSED, Case
from tests.hostile.cases import all_cases, quick_cases
from tests.hostile.planted import DEFECTS


def outcomes(target: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.hostile", f"json={target}", *words]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def judged(process: subprocess.Popen[str], target: Path, timeout: float) -> list[dict[str, Any]]:
    printed = process.communicate(timeout=timeout)[0]
    assert process.returncode == 0, printed[-6000:]
    found: list[dict[str, Any]] = json.loads(target.read_text())
    assert not [row for row in found if row["defects"]]
    return found


@pytest.mark.slow
def test_a_selection_of_hostile_inputs_is_refused(tmp_path: Path) -> None:
    found = judged(outcomes(tmp_path / "r.json", "quick=true"), tmp_path / "r.json", 300)
    assert len(found) == len(quick_cases()) >= 8
    assert len({row["case"].split("/")[0] for row in found}) >= 5


@pytest.mark.slow
def test_every_hostile_input_is_refused_or_skipped(tmp_path: Path) -> None:
    files = [tmp_path / f"{i}.json" for i in (1, 2)]
    running = [outcomes(file, f"shard={i}/2") for i, file in enumerate(files)]
    found = [row for process, file in zip(running, files, strict=True) for row in judged(process, file, 580)]
    assert len(found) == len(all_cases()) >= 200
    assert {row["end"] for row in found} == {"refused", "skipped", "taken"}


def test_the_set_is_the_same_every_time_and_large_enough() -> None:
    labels = [case.label for case in all_cases()]
    assert labels == [case.label for case in all_cases()]
    assert len(labels) == len(set(labels)) >= 200


@pytest.mark.parametrize("defect", DEFECTS)
def test_the_harness_sees_a_planted_defect(defect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "LIMIT_S", 2.0 if defect == "hang" else 30.0)

    def build(home: Path) -> None:
        (home / "in" / "file").write_text("untouched")

    names = "data.yaml" if defect == "nameless" else ""
    case = Case("planted", defect, "tests.hostile.planted", (defect, HOME), build, (REFUSED,), names=names)
    found = harness.run(case, tmp_path)
    expected = DEFECTS[defect][1]
    assert any(expected in text for text in found.defects) if expected else not found.defects, found


def test_code_that_runs_by_trust_must_be_told(tmp_path: Path) -> None:
    case = Case("planted", "trusted", "tests.hostile.planted", ("runs-code", HOME), may_run=True)
    assert harness.run(case, tmp_path).defects == ["ran code by trust=true without saying so"]
