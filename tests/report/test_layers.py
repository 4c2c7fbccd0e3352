"""The appendix tells which layers INT8 loses in, and what mixed precision made of it; older records say nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from src.records.schema import KeptFloat, LayerLoss
from src.report.write import write_report
from tests.report.factory import INT8, ONNX, PYTORCH, Sweep, finalist, trial

LAYERS = [LayerLoss(f"/model.{i}/conv/Conv", 10.0 + i, 5.0 + i, 100 * i) for i in range(12)]


def appendix(tmp_path: Path, layers: list[LayerLoss], kept: list[KeptFloat]) -> tuple[str, list[str]]:
    record = finalist(trial(0, score=0.4), (PYTORCH, ONNX, INT8), test=-0.01)
    losses = {a.sha256: layers for a in record.artifacts if a.precision == "int8" and layers}
    folder = Sweep([trial(0, score=0.4)], [replace(record, layer_losses=losses, kept_float=kept)])
    write_report(folder.write(tmp_path / "outputs"), tmp_path / "reports")
    written = tmp_path / "reports" / "friday"
    return (written / "appendix.md").read_text(), [p.stem for p in (written / "figures").iterdir()]


def test_the_worst_layers_stand_in_the_appendix_with_a_figure(tmp_path: Path) -> None:
    attempt = KeptFloat("onnx", "int8", "f" * 64, ["/model.0/conv/Conv"], 0.391, 0.4, "fail", False)
    taken = replace(attempt, layers=["/model.0/conv/Conv", "/model.1/conv/Conv"], lowest=0.399, gate="pass", taken=True)
    text, figures = appendix(tmp_path, LAYERS, [attempt, taken])
    assert "Where INT8 loses" in text
    assert "layers" in figures
    rows = [line for line in text.splitlines() if "/model." in line]
    assert len(rows) == 10
    assert "10.0" in rows[0]
    assert "5.0" in rows[0]
    assert "not enough" in text
    assert "passes, taken" in text


def test_nothing_is_said_where_nothing_was_measured(tmp_path: Path) -> None:
    text, figures = appendix(tmp_path, [], [])
    assert "Where INT8 loses" not in text
    assert "layers" not in figures
