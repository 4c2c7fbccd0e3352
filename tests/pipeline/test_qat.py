"""Quantisation-aware training from a finished checkpoint to a report that states what it recovered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import run_command
from tests.models.ultralytics.toy import run, toy, toy_dataset
from tests.pipeline.test_sweep import TOY


@pytest.mark.slow
def test_a_report_states_what_was_recovered(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    start = run(toy(), toy_dataset(tmp_path_factory), tmp_path / "first").checkpoint.path
    places = [f"outputs={tmp_path}/outputs", f"reports={tmp_path}/reports", "tracking=none"]
    words = [f"model.weights={start}", "train=qat", "train.qat_batches=1", "seed=1,2", "sweep=q"]
    done = run_command("src.run", "-m", *TOY, *places, *words, "export.targets=[onnx/fp32,onnx/int8]")
    assert done.returncode == 0, done.stderr[-3000:]
    decision = json.loads((tmp_path / "reports" / "q" / "decision.json").read_text())
    rows = decision["recovery"]
    split = "test" if decision["recommended"]["precision"] == "int8" else "val"  # test judges what ships
    assert [(r["target"], r["runtime"], r["split"]) for r in rows] == [("onnx/int8", "onnxruntime", split)]
    for row in rows:
        assert row["lost"] == pytest.approx(row["before"] - row["post_training"], abs=1e-9)
        assert row["recovered"] == pytest.approx(row["aware"] - row["post_training"], abs=1e-9)
    text = (tmp_path / "reports" / "q" / "decision.md").read_text()
    assert "Quantisation-aware training against post-training quantisation" in text
    assert "INT8 by quantisation-aware training" in done.stdout
