"""An outputs folder that was moved or copied between two starts of the same command."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest

from src.records.schema import TrialRecord
from src.records.store import load
from tests.conftest import run_command
from tests.data.builders import yolo_set
from tests.pipeline.test_sweep import TOY

ENVIRONMENT = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME")


@pytest.fixture(autouse=True)
def no_wishes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)


def toy(outputs: Path, **env: Any) -> subprocess.CompletedProcess[str]:
    words = ["-m", "lr=0.001,0.002", "epochs=2", "sweep=toy", f"outputs={outputs}", f"reports={outputs}/reports"]
    return run_command("tests.pipeline.toy", *words, **env)


def unfinish(outputs: Path) -> None:
    """As if the sweep had been killed in its second trial."""
    (outputs / "sweeps" / "toy" / "trials" / "0001" / "record.json").unlink()
    (outputs / "sweeps" / "toy" / "study.log").unlink()


def state(folder: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in sorted(folder.rglob("*"))}


def runs_of(outputs: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(outputs / "mlflow.db") as store:
        return store.execute("SELECT name, status FROM runs ORDER BY name").fetchall()


@pytest.mark.slow
def test_the_same_command_goes_on_in_the_new_place(tmp_path: Path) -> None:
    old, copied, moved = tmp_path / "old", tmp_path / "new" / "copy", tmp_path / "new" / "place"
    done = toy(old)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "tracking: sqlite:///" in done.stdout + done.stderr
    unfinish(old)
    shutil.copytree(old, copied)
    before = state(old)
    goes_on(copied)
    assert state(old) == before, "nothing is written to the old place"
    shutil.move(old, moved)
    goes_on(moved)
    assert not old.exists()


def goes_on(new: Path) -> None:
    """The same command finishes what is in a new place, with everything at its place there."""
    done = toy(new)
    assert done.returncode == 0, done.stderr[-3000:]
    records = [load(TrialRecord, p) for p in sorted((new / "sweeps" / "toy").glob("trials/*/record.json"))]
    assert [r.state for r in records] == ["complete", "complete"]
    assert all(r.checkpoint and Path(r.checkpoint.path).is_relative_to(new) for r in records)
    assert {status for _, status in runs_of(new)} == {"FINISHED"}
    assert len(runs_of(new)) == 3
    for record in records:
        files = new / "mlartifacts" / record.run_id / "artifacts"
        assert {p.name for p in files.rglob("*") if p.is_file()} >= {"best.pt", "record.json"}
    assert (new / "reports" / "toy" / "decision.md").is_file()


@pytest.mark.slow
def test_another_store_in_the_middle_of_a_sweep_ends_nothing(tmp_path: Path) -> None:
    done = toy(tmp_path / "o")
    assert done.returncode == 0, done.stderr[-3000:]
    unfinish(tmp_path / "o")
    uri = f"sqlite:///{tmp_path}/other.db"
    done = toy(tmp_path / "o", MLFLOW_TRACKING_URI=uri, MLFLOW_EXPERIMENT_NAME="another")
    assert done.returncode == 0, done.stderr[-3000:]
    said = done.stdout + done.stderr
    assert f"{uri} (as MLFLOW_TRACKING_URI says), experiment another" in said
    assert said.count("refuses an entry") == 1, "told once"
    assert list((tmp_path / "o" / "tracking").rglob("refused.jsonl"))
    assert (tmp_path / "o" / "reports" / "toy" / "decision.md").is_file()


NAMES = ("安全帽", "反光衣", "x" * 400)


@pytest.mark.slow
def test_class_names_in_any_script_and_of_any_length_and_then_a_move(tmp_path: Path) -> None:
    rows = "".join(f"{c} {0.3 + 0.2 * c} 0.5 0.2 0.3\n" for c in range(3))
    data = yolo_set(tmp_path / "d", {"train": 6, "val": 6, "test": 6}, NAMES, rows)

    def sweep(outputs: Path) -> subprocess.CompletedProcess[str]:
        toy_words = [word for word in TOY if not word.startswith("data.")]
        words = ["-m", *toy_words, "data=yolo", f"data.path={data}", "seed=1,2", "sweep=names"]
        return run_command("src.run", *words, f"outputs={outputs}", f"reports={outputs}/reports", timeout=600)

    old, new = tmp_path / "old", tmp_path / "new"
    done = sweep(old)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Glyph" not in done.stderr + done.stdout
    assert "refuse" not in done.stderr + done.stdout
    assert (old / "reports" / "names" / "decision.md").is_file()
    with sqlite3.connect(old / "mlflow.db") as store:
        keys = {k for (k,) in store.execute("SELECT key FROM latest_metrics WHERE key LIKE 'eval/test/pytorch/%/AP50'")}
    classes = {key.split("/")[-2] for key in keys}
    assert {"安全帽", "反光衣"} < classes
    assert len(classes) == 3
    shutil.move(old, new)
    assert sweep(new).returncode == 0
    assert run_command("src.report", "sweep=names", f"outputs={new}", f"reports={new}/reports").returncode == 0
    done = run_command("src.promote", "sweep=names", f"outputs={new}")
    assert "version 1" in done.stdout, "registered, whatever the gates say of a model that was trained for one epoch"
    assert not old.exists()
