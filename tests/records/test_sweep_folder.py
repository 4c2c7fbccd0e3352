"""Paths inside a sweep's folder: as saved sweeps have them, spelt in one module; one meaning of `sweep=latest`."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from src.common.errors import UserError
from src.common.root import ROOT
from src.records.find_sweep import find_sweep
from src.records.sweep_folder import SweepFolder, TrialFolder, all_folders, is_name

OWNER = ROOT / "src" / "records" / "sweep_folder.py"
OWNED = {
    "sweep.json", "record.json", "begun.json", "finalist.json", "images.json", "study.log", "open.lock",
    "finish.lock", "finalists.key", "run.key", "traceback.txt", "hang.txt",
}  # fmt: skip
JOINED = {"trials", "artifacts", "evaluation", "detections", "benchmark", "costs", "truths", "train", "sweeps", "runs"}
ELSEWHERE = {  # folders of the same name that are no part of a sweep's
    "src/benchmark/__main__.py": {"detections"},  # of a benchmark of model files, outside any sweep
    "src/data/layout.py": {"train"},  # a split's
}


def spelt(path: Path) -> set[str]:
    """Owned names that a module spells: as a string, in a pattern, or joined to a path."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value:
            found |= OWNED & set(node.value.split("/"))
            if "*" in node.value:
                found |= JOINED & set(node.value.split("/"))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and isinstance(node.right, ast.Constant):
            found |= JOINED & {node.right.value}
    return found


def test_no_other_module_spells_a_path_in_a_sweep() -> None:
    modules = {str(p.relative_to(ROOT)): spelt(p) for p in sorted((ROOT / "src").rglob("*.py")) if p != OWNER}
    assert {name: left for name, found in modules.items() if (left := found - ELSEWHERE.get(name, set()))} == {}


def test_the_search_for_literals_finds_them(tmp_path: Path) -> None:
    module = tmp_path / "a.py"
    module.write_text('a = f / "trials" / f"{n}" / "record.json"\nb = f.glob("runs/*/finalist.json")\n')
    assert spelt(module) == {"trials", "record.json", "runs", "finalist.json"}


def test_names_on_disk_are_those_of_saved_sweeps() -> None:
    sweep, trial = SweepFolder(Path("s")), SweepFolder(Path("s")).trial(7)
    assert trial == TrialFolder(Path("s/trials/0007"))
    assert [p.name for p in (sweep.record, sweep.journal, sweep.open_lock, sweep.finish_lock, sweep.finalists_key)] == [
        "sweep.json", "study.log", "open.lock", "finish.lock", "finalists.key",
    ]  # fmt: skip
    assert [p.name for p in (sweep.trials, sweep.benchmark, sweep.costs)] == ["trials", "benchmark", "costs"]
    assert sweep.ground_truth("0123456789abcdef99", "val") == Path("s/truths/0123456789abcdef-val.npz")
    assert [p.name for p in (trial.begun, trial.record, trial.finalist, trial.images(), trial.images("test"))] == [
        "begun.json", "record.json", "finalist.json", "images.json", "images-test.json",
    ]  # fmt: skip
    assert [p.name for p in (trial.run_key, trial.traceback, trial.hang)] == ["run.key", "traceback.txt", "hang.txt"]
    assert [p.name for p in (trial.train, trial.detections, trial.artifacts, trial.evaluation)] == [
        "train", "detections", "artifacts", "evaluation",
    ]  # fmt: skip
    assert TrialFolder.of_artifact(trial.artifacts / "onnx-fp32") == trial


def test_trials_of_a_folder_come_by_number(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path / "runs" / "one")
    for number in (11, 2):
        folder.trial(number).path.mkdir(parents=True)
    assert folder.all_trials() == [folder.trial(2), folder.trial(11)]
    assert all_folders(tmp_path) == []
    folder.record.write_text("{}")
    assert all_folders(tmp_path) == [folder]


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "a\0", "-a", ".hidden"])
def test_a_name_that_leads_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    assert not is_name(name)
    with pytest.raises(UserError, match="not known"):
        find_sweep(tmp_path, name)


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("src.report.__main__", "ReportArgs"),
        ("src.evaluate.__main__", "EvaluateArgs"),
        ("src.promote.__main__", "PromoteArgs"),
        ("src.sweeper.dashboard", "DashboardArgs"),
    ],
)
def test_latest_means_the_same_in_every_command(module: str, arguments: str) -> None:
    command = importlib.import_module(module)
    assert command.find_sweep is find_sweep
    assert getattr(command, arguments)().sweep == "latest"
