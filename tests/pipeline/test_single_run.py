"""A single run, and a sweep of which nothing survives, through the commands that a user types."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.records.schema import FinalistRecord
from src.records.store import load
from tests.conftest import ROOT, Command
from tests.pipeline.test_sweep import TOY


@pytest.mark.slow
def test_a_sweep_without_survivors_ends_in_1(command: Command, tmp_path: Path) -> None:
    folders = ["tracking=none", f"outputs={tmp_path}/o", f"reports={tmp_path}/r"]
    words = ["-m", *TOY, "lr=0.001,0.002", "epochs=2", "study.trial_timeout=0.01", *folders]
    done = command("src.run", *words, timeout=600)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_single_run_goes_through_all_stages_and_prints_a_table(command: Command, tmp_path: Path) -> None:
    done = command("src.run", *TOY, "tracking=none", f"outputs={tmp_path}", timeout=600)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    finalist = load(FinalistRecord, folder / "trials" / "0000" / "finalist.json")
    assert {m.runtime for m in finalist.measurements} == {"pytorch", "onnxruntime"}
    assert not finalist.test_metrics, "one trial is no finalist: test stays closed"
    assert "onnxruntime" in done.stdout
    assert not (ROOT / "reports" / folder.name).exists()
