"""Finding and reading sweeps, and what is said when that fails."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from src.common.errors import UserError
from src.report import find_sweep, load_decision, load_sweep
from tests.conftest import run_command
from tests.report.factory import Sweep, finalist, study, trial


def test_reads_what_was_saved(tmp_path: Path) -> None:
    saved = load_sweep(Sweep([trial(1, seed=2), trial(0)], [finalist(trial(0))]).write(tmp_path))
    assert [t.trial for t in saved.trials] == [0, 1]
    assert list(saved.finalists) == [0]


def test_unknown_sweep_lists_the_known_ones(tmp_path: Path) -> None:
    Sweep([trial(0)]).write(tmp_path)
    with pytest.raises(UserError) as error:
        find_sweep(tmp_path, "thursday")
    assert "friday" in str(error.value)
    for name in ("../friday", "", "/etc"):
        with pytest.raises(UserError):
            find_sweep(tmp_path, name)


def test_latest_is_the_newest_that_is_not_a_single_run(tmp_path: Path) -> None:
    for name, when, kind in [
        ("old", "2026-01-01", "grid"),
        ("new", "2026-02-01", "study"),
        ("one", "2026-03-01", "single"),
    ]:
        Sweep([], changes={"sweep": name, "started_at": when, "kind": kind}).write(tmp_path)
    assert find_sweep(tmp_path, "latest").name == "new"
    with pytest.raises(UserError, match="finds no sweep"):
        find_sweep(tmp_path / "empty", "latest")


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("sweep.json", {"schema_version": 99}, "schema version 99"),
        ("trials/0000/record.json", {"schema_version": None}, "schema version None"),
        ("trials/0000/finalist.json", {"surprise": 1}, "unknown field 'surprise'"),
        ("trials/0000/record.json", {"sweep": "other"}, "belongs to another sweep"),
        ("trials/0000/record.json", {"lr": "fast"}, "lr"),
        ("trials/0000/record.json", {"trial": 7}, "finalist.json but no record.json"),
    ],
)
def test_bad_records_name_the_file(file: str, change: dict[str, object], said: str, tmp_path: Path) -> None:
    folder = Sweep([trial(0)], [finalist(trial(0))]).write(tmp_path)
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=said):
        load_sweep(folder)


def test_torn_record_is_a_user_error(tmp_path: Path) -> None:
    folder = Sweep([trial(0)]).write(tmp_path)
    path = folder / "trials/0000/record.json"
    path.write_text(path.read_text()[:100])
    with pytest.raises(UserError, match="not valid JSON"):
        load_sweep(folder)


def command(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run_command("src.report", *words, f"outputs={tmp_path}", f"reports={tmp_path / 'reports'}")


def test_the_command_writes_and_prints(tmp_path: Path) -> None:
    Sweep([trial(0)], [finalist(trial(0))]).write(tmp_path)
    done = command(tmp_path, "sweep=latest")
    assert done.returncode == 0, done.stderr
    assert "CONDITIONAL" in done.stdout
    assert (tmp_path / "reports/friday/decision.md").is_file()


@pytest.mark.parametrize(
    ("words", "said"), [(["sweep=nope"], "friday"), (["swep=friday"], "swep"), (["report.language=xx"], "en, fr")]
)
def test_the_command_ends_in_two(words: list[str], said: str, tmp_path: Path) -> None:
    Sweep([trial(0)], [finalist(trial(0))]).write(tmp_path)
    done = command(tmp_path, *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("key", "value"),
    [("margin", None), ("margin", True), ("margin", []), ("latency", "p42"), ("scope", "x"), ("batch", 0),
     ("finalists", 0), ("max_latency_ms", -1), ("reopen", "yes"), ("nothing_map", 2)],
)  # fmt: skip
def test_a_recorded_rule_that_makes_no_sense_is_refused(key: str, value: object, tmp_path: Path) -> None:
    sweep = study()
    sweep.decision = {**sweep.decision, key: value}
    with pytest.raises(UserError, match=key):
        load_decision(sweep.write(tmp_path))
