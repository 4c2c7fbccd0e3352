"""`export.int8.keep=auto` gives layers back to float until the gate holds, and calibration keeps off what judges."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from src.common.errors import UserError
from src.config.exporting import CalibrationConfig, Int8Config
from src.config.schema import AppConfig, ExportConfig
from src.pipeline import calibration, mixed_precision
from src.pipeline.measured import Findings
from src.records.schema import Artifact, DatasetRef, LayerLoss, Verification

LOSSES = [LayerLoss(f"layer{i}", 10.0 + i, 9.0, 100) for i in range(12)]
INT8 = Artifact("onnx", "int8", "int8/model.onnx", "a" * 64, 1, [-1, 3, 64, 64], 0.0, "")


def verdict(artifact: Artifact, value: float, gate: Any) -> Verification:
    return Verification("onnx", "int8", artifact.sha256, "onnxruntime", "val", {"mAP50-95": value}, 0.5, gate, "x.npz")


def search(monkeypatch: pytest.MonkeyPatch, needed: int, *, keep: Any = "auto", most: int = 8) -> Findings:
    """A search in which the gate holds once `needed` layers stay float."""
    export = ExportConfig(name="x", int8=Int8Config(keep=keep, most_kept=most))
    record: Any = SimpleNamespace(trial=3)
    one = Findings(record, AppConfig(export=export), Path("/nowhere"), artifacts=[INT8])
    one.verifications = [verdict(INT8, 0.4, "fail")]

    def made(_: Any, target: str, layers: list[str], __: Any) -> Artifact:
        assert layers == [loss.layer for loss in LOSSES[: len(layers)]]  # the worst first
        return replace(INT8, sha256=f"{len(layers):064d}")

    def judged(_: Any, artifact: Artifact, n: int, *__: Any) -> list[Verification]:
        return [verdict(artifact, 0.4 + n / 100, "pass" if n >= needed else "warn")]

    monkeypatch.setattr(mixed_precision, "losses_beside", lambda path: LOSSES)
    monkeypatch.setattr(mixed_precision, "_export", made)
    monkeypatch.setattr(mixed_precision, "_judge", judged)
    nothing: Any = None
    mixed_precision.keep_layers_float(one, nothing, nothing, Path("x"), lambda text: None)
    return one


def test_the_first_file_that_passes_replaces_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    one = search(monkeypatch, needed=3)
    assert [len(attempt.layers) for attempt in one.kept_float] == [1, 2, 4]
    assert [attempt.taken for attempt in one.kept_float] == [False, False, True]
    assert [a.sha256 for a in one.artifacts] == [f"{4:064d}"]
    assert [(v.artifact_sha256, v.gate) for v in one.verifications] == [(f"{4:064d}", "pass")]


def test_the_limit_holds_and_the_plain_file_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    one = search(monkeypatch, needed=99, most=6)
    assert [len(attempt.layers) for attempt in one.kept_float] == [1, 2, 4, 6]
    assert one.artifacts == [INT8]
    assert [v.gate for v in one.verifications] == ["fail"]


def test_nothing_is_tried_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert search(monkeypatch, needed=1, keep=None).kept_float == []


@pytest.mark.parametrize(("most", "expected"), [(1, [1]), (2, [1, 2]), (8, [1, 2, 4, 8]), (5, [1, 2, 4, 5])])
def test_steps_double_up_to_the_limit(most: int, expected: list[int]) -> None:
    assert list(mixed_precision.steps(most)) == expected


def test_images_that_judge_are_not_calibrated_on(
    images: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = {"calibration": images[:2], "val": images[2:4], "test": images[4:]}
    samples = {name: [SimpleNamespace(image=path) for path in paths] for name, paths in splits.items()}
    monkeypatch.setattr(calibration, "load_split", lambda dataset, split: samples[split])
    dataset: DatasetRef = None  # type: ignore[assignment]
    cfg = AppConfig(export=ExportConfig(name="x"))
    assert calibration.calibration_images(cfg, dataset) == images[:2]
    cfg.export.calibration = CalibrationConfig(folder=str(tmp_path))
    shutil.copy(images[0], tmp_path / "own.png")
    assert calibration.calibration_images(cfg, dataset) == [str(tmp_path / "own.png")]
    shutil.copy(images[4], tmp_path / "leak.png")
    with pytest.raises(UserError, match=r"(?s)holds an image of test.*leak.png"):
        calibration.calibration_images(cfg, dataset)
