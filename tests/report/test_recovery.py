"""The report says plainly what quantisation-aware training recovered, or that it did not."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from src.decide.load import load_sweep
from src.decide.settings import load_decision
from src.records.schema import FinalistRecord, Verification
from src.report.recovery import recoveries
from src.report.terminal import print_summary
from src.report.write import write_report
from tests.report.factory import INT8, ONNX, PYTORCH, Sweep, Target, finalist, trial

INT8_OPENVINO = Target("openvino", "int8", "openvino", 0.985, 4.0, 3.3, "warn")


def aware(kept: dict[str, float], *, test: float | None = -0.01) -> FinalistRecord:
    """A finalist of a training with rounding; `kept`: what the INT8 file of the starting network keeps, by format."""
    record = finalist(trial(0, score=0.4), (PYTORCH, ONNX, INT8, INT8_OPENVINO), test=test)
    return replace(record, post_training=[_before(v, kept) for v in record.verifications if v.precision == "int8"])


def _before(v: Verification, kept: dict[str, float]) -> Verification:
    return replace(v, artifact_sha256="0" * 64, metrics={"mAP50-95": kept[v.format] * v.reference_map})


def report(record: FinalistRecord, tmp_path: Path) -> tuple[str, list[dict[str, Any]]]:
    folder = Sweep([trial(0, score=0.4)], [record]).write(tmp_path / "outputs")
    write_report(folder, tmp_path / "reports")
    written = tmp_path / "reports" / "friday"
    rows: list[dict[str, Any]] = json.loads((written / "decision.json").read_text())["recovery"]
    return (written / "decision.md").read_text(), rows


@pytest.mark.parametrize(
    ("kept", "says"),
    [
        ({"onnx": 0.90, "openvino": 0.95}, "on all 2 files that lost more than 0.01"),
        ({"onnx": 0.90, "openvino": 0.999}, "on all 1 files that lost more than 0.01"),
        ({"onnx": 0.90, "openvino": 0.972}, "does not pay everywhere: on 1 of 2 files"),
        ({"onnx": 0.99, "openvino": 0.999}, "there was nothing to recover"),
    ],
)
def test_what_was_recovered_is_said_plainly(kept: dict[str, float], says: str, tmp_path: Path) -> None:
    text, rows = report(aware(kept), tmp_path)
    assert says in text
    assert {row["split"] for row in rows} == {"test"}, "test was opened: val says no more"
    row = next(r for r in rows if r["target"] == "onnx/int8")
    assert row["before"] == pytest.approx(0.39)
    assert row["lost"] == pytest.approx(0.39 * (1 - kept["onnx"]))
    assert row["recovered"] == pytest.approx(0.39 * (0.985 - kept["onnx"]))
    lost_enough = row["lost"] > 0.01
    assert row["share"] == (pytest.approx(row["recovered"] / row["lost"]) if lost_enough else None)
    assert f"{row['recovered']:.4f}" in text


def test_the_terminal_tells_it_too(tmp_path: Path) -> None:
    folder = Sweep([trial(0)], [aware({"onnx": 0.9, "openvino": 0.9})]).write(tmp_path)
    console = Console(width=160, record=True, file=io.StringIO())
    print_summary(load_decision(folder), console)
    assert "gave back at least half" in " ".join(console.export_text().split())


def test_val_counts_where_test_is_closed(tmp_path: Path) -> None:
    folder = Sweep([trial(0)], [aware({"onnx": 0.9, "openvino": 0.9}, test=None)]).write(tmp_path)
    assert {r.split for r in recoveries(load_sweep(folder))} == {"val"}


def test_an_ordinary_training_has_no_such_section(tmp_path: Path) -> None:
    text, rows = report(finalist(trial(0)), tmp_path)
    assert rows == []
    assert "Quantisation-aware" not in text
