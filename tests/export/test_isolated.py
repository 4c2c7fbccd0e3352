"""Exports in a process of their own: a converter that dies costs its own file and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from src.common import backends
from src.common.errors import StageError, Unavailable, UserError
from src.config.schema import ExportConfig
from src.export import export, isolated
from src.export.isolated import export_all, export_one
from src.records.schema import Checkpoint

CFG = ExportConfig(name="test")
DYING = """
import os
from pathlib import Path
from src.common.backends import Format
from src.export.request import Built
from src.records.model_io import Input, Output
FORMAT = Format(precisions=("abort", "hang", "raise", "fine"))
def tool_versions():
    return {}
def build(job, folder):
    if job.precision == "abort":
        os.abort()
    if job.precision == "hang":
        import time
        time.sleep(600)
    if job.precision == "raise":
        raise ZeroDivisionError("a converter's own error")
    (folder / "model.txt").write_text("made in " + str(os.getpid()))
    return Built(folder / "model.txt", Input(64, 64), Output())
"""


@pytest.fixture
def dying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A format whose converter dies as its precision says, known here and in the processes that are started."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "dying_format.py").write_text(DYING)
    table = "from src.common import backends\nbackends.FORMATS['dying'] = 'dying_format'\n"
    (tmp_path / "lib" / "sitecustomize.py").write_text(table)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'lib'}:{Path.cwd()}")
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    monkeypatch.setitem(backends.FORMATS, "dying", "dying_format")
    monkeypatch.delitem(sys.modules, "dying_format", raising=False)


def test_what_dies_is_told_and_the_rest_is_made(dying: None, checkpoint: Checkpoint, tmp_path: Path) -> None:
    failed: dict[str, Exception] = {}
    targets = ["pytorch/fp32", "dying/fine", "dying/abort", "dying/raise", "onnx/fp32"]
    made = export_all(checkpoint, targets, tmp_path / "a", CFG, failed.__setitem__)
    assert [a.label for a in made] == ["pytorch/fp32", "dying/fine", "onnx/fp32"]
    assert set(failed) == {"dying/abort", "dying/raise"}
    assert "SIGABRT" in str(failed["dying/abort"])
    assert "ZeroDivisionError: a converter's own error" in str(failed["dying/raise"])
    assert all(isinstance(error, StageError) for error in failed.values())


def test_what_hangs_is_ended(dying: None, checkpoint: Checkpoint, tmp_path: Path) -> None:
    failed: dict[str, Exception] = {}
    made = export_all(checkpoint, ["dying/hang"], tmp_path / "a", CFG, failed.__setitem__, timeout_s=6)
    assert made == []
    assert "no answer within 6 s" in str(failed["dying/hang"])


def test_a_file_is_the_one_that_would_be_made_here(checkpoint: Checkpoint, tmp_path: Path) -> None:
    apart = export_one(checkpoint, "onnx/fp32", tmp_path / "apart", CFG)
    here = export(checkpoint, "onnx/fp32", tmp_path / "here", CFG)
    assert apart.sha256 == here.sha256
    assert Path(apart.path).is_relative_to(tmp_path / "apart")


def test_what_was_made_before_starts_no_process(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = export_one(checkpoint, "onnx/fp32", tmp_path, CFG)
    monkeypatch.setattr(isolated, "run_job", lambda *a, **k: pytest.fail("a process was started"))
    assert export_one(checkpoint, "onnx/fp32", tmp_path, CFG) == first


def test_errors_keep_their_kind(checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="unknown export target"):
        export_one(checkpoint, "onnx/fp7", tmp_path, CFG)
    with pytest.raises(UserError, match="calibration images"):
        export_one(checkpoint, "onnx/int8", tmp_path, CFG)
    with pytest.raises(Unavailable):
        export_one(checkpoint, "tensorrt/fp32", tmp_path, CFG)
