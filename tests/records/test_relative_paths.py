"""Records follow the folder that they lie in: moved, copied, or written by an earlier version."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from src.records.relative_paths import moved, outputs_of
from src.records.schema import FinalistRecord, SweepRecord, TrialRecord
from src.records.store import load, save, to_json
from tests.report.factory import study


def outputs(base: Path, monkeypatch: pytest.MonkeyPatch, absolute: bool = True) -> Path:
    """An outputs folder with a sweep, its records saved by `save`; every path in them leads to a file."""
    monkeypatch.chdir(base)
    home = base / "outputs" if absolute else Path("outputs")
    dataset = home / "datasets" / "digits-1" / "data.yaml"
    dataset.parent.mkdir(parents=True)
    dataset.write_text("names: []")
    folder = study().write(home)
    for path in sorted(folder.glob("trials/*/record.json")):
        trial, weights = load(TrialRecord, path), path.parent / "train" / "best.pt"
        weights.parent.mkdir(parents=True)
        weights.write_text(str(trial.trial))
        assert trial.dataset is not None
        if trial.checkpoint is None:  # the one that failed
            path.unlink()
            continue
        checkpoint, data = replace(trial.checkpoint, path=str(weights)), replace(trial.dataset, yaml=str(dataset))
        save(path, replace(trial, checkpoint=checkpoint, dataset=data))
    for path in sorted(folder.glob("trials/*/finalist.json")):
        finalist, artifacts = load(FinalistRecord, path), []
        for artifact in finalist.artifacts:
            file = path.parent / "artifacts" / artifact.label.replace("/", "-") / "model.bin"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(artifact.label)
            artifacts.append(replace(artifact, path=str(file)))
        save(path, replace(finalist, artifacts=artifacts))
    return home


def places(home: Path) -> list[str]:
    """Every path that the records of a sweep lead to."""
    found: list[str] = []
    for path in sorted(home.glob("sweeps/*/trials/*/record.json")):
        trial = load(TrialRecord, path)
        assert trial.checkpoint is not None
        assert trial.dataset is not None
        found += [trial.checkpoint.path, trial.dataset.yaml]
    for path in sorted(home.glob("sweeps/*/trials/*/finalist.json")):
        found += [a.path for a in load(FinalistRecord, path).artifacts]
    return found


@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize("how", [shutil.move, shutil.copytree])
def test_records_follow_their_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absolute: bool, how: object
) -> None:
    (tmp_path / "a").mkdir()
    home = outputs(tmp_path / "a", monkeypatch, absolute)
    before = places(home)
    assert before, "as they were saved"
    assert all(Path(p).is_file() and Path(p).is_relative_to(home) for p in before)
    assert callable(how)
    how(tmp_path / "a" / "outputs", tmp_path / "b" / "elsewhere")
    after = places(tmp_path / "b" / "elsewhere")
    assert len(after) == len(before)
    assert all(Path(p).is_file() and Path(p).is_relative_to(tmp_path / "b" / "elsewhere") for p in after)


@pytest.mark.parametrize("absolute", [True, False])
def test_records_of_earlier_versions_follow_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absolute: bool
) -> None:
    (tmp_path / "a").mkdir()
    home = outputs(tmp_path / "a", monkeypatch, absolute)
    for kind, name in ((TrialRecord, "record.json"), (FinalistRecord, "finalist.json")):
        for path in home.glob(f"sweeps/*/trials/*/{name}"):
            path.write_text(to_json(load(kind, path)))  # paths as they were on the day
            assert '"./' not in path.read_text()
    shutil.copytree(tmp_path / "a" / "outputs", tmp_path / "b")
    after = places(tmp_path / "b")
    assert all(Path(p).is_file() and Path(p).is_relative_to(tmp_path / "b") for p in after)


def test_what_lies_elsewhere_keeps_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = outputs(tmp_path, monkeypatch)
    path = next(iter(home.glob("sweeps/*/trials/*/record.json")))
    trial = load(TrialRecord, path)
    assert trial.checkpoint is not None
    for place in ("/data/weights/best.pt", "", "best.pt", "../x/best.pt"):
        save(path, replace(trial, checkpoint=replace(trial.checkpoint, path=place)))
        again = load(TrialRecord, path)
        assert again.checkpoint is not None
        assert again.checkpoint.path == place


def test_no_record_names_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = outputs(tmp_path, monkeypatch)
    for path in home.rglob("*.json"):
        assert str(tmp_path) not in path.read_text()
    raw = json.loads((home / "sweeps/friday/trials/0000/record.json").read_text())
    assert raw["checkpoint"]["path"] == "./train/best.pt"
    assert raw["dataset"]["yaml"] == "./../../../../datasets/digits-1/data.yaml"
    assert load(SweepRecord, home / "sweeps/friday/sweep.json").sweep == "friday"


@pytest.mark.parametrize(
    ("file", "root"),
    [
        ("/o/sweeps/s/sweep.json", "/o"),
        ("/o/sweeps/s/trials/0000/record.json", "/o"),
        ("/o/runs/r/trials/0000/evaluation/x.json", "/o"),
        ("/runs/o/sweeps/runs/trials/0000/record.json", "/runs/o"),
        ("/copy/s/trials/0000/record.json", "/copy/s"),
        ("/copy/x.json", "/copy"),
    ],
)
def test_the_outputs_folder_of_a_record(file: str, root: str) -> None:
    assert outputs_of(Path(file)) == Path(root)


def test_waiting_files_are_found_where_they_are_now(tmp_path: Path) -> None:
    now = tmp_path / "new" / "outputs"
    (now / "sweeps" / "s").mkdir(parents=True)
    (now / "sweeps" / "s" / "a.pt").write_text("")
    (tmp_path / "new" / "reports").mkdir()
    assert moved("/old/outputs/sweeps/s/a.pt", "/old/outputs", now) == str(now / "sweeps/s/a.pt")
    assert moved("/old/outputs/sweeps/s/gone.pt", "/old/outputs", now) == str(now / "sweeps/s/gone.pt")
    assert moved("/old/reports", "/old/outputs", now) == str(tmp_path / "new" / "reports"), "a whole checkout"
    assert moved(str(tmp_path), "/old/outputs", now) == str(tmp_path), "it is still there"
    assert moved("/old/outputs/sweeps/s/a.pt", "", now) == str(now / "sweeps/s/a.pt"), "of an earlier version"
    assert moved("/old/x", "", now) == "/old/x"
