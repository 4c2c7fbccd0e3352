"""Artifacts are made once, whole, and from trusted files only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.common.errors import StageError, UserError
from src.common.hashes import sha256_file
from src.config.schema import ExportConfig
from src.export import export
from src.records.schema import Artifact, Checkpoint

CFG = ExportConfig(name="test")


def test_onnx_has_a_dynamic_batch_and_the_sources_output(onnx: Artifact, checkpoint: Checkpoint) -> None:
    import onnxruntime
    import torch

    from src.models.ultralytics.checkpoint import load_checkpoint

    session = onnxruntime.InferenceSession(onnx.path)
    model = load_checkpoint(checkpoint.path)
    for batch in (1, 3):
        x = np.random.default_rng(0).random((batch, 3, 64, 64), np.float32)
        with torch.inference_mode():
            expected = model(torch.from_numpy(x))[0].numpy()
        (output,) = session.run(None, {"images": x})
        assert np.abs(output - expected).max() < 1e-2
    assert onnx.input_shape == [-1, 3, 64, 64]
    assert onnx.sha256 == sha256_file(Path(onnx.path))
    assert onnx.source_sha256 == checkpoint.sha256


def test_an_unchanged_artifact_is_not_made_again(checkpoint: Checkpoint, tmp_path: Path) -> None:
    first = export(checkpoint, "onnx/fp32", tmp_path, CFG)
    before = Path(first.path).stat().st_mtime_ns
    assert export(checkpoint, "onnx/fp32", tmp_path, CFG) == first
    assert Path(first.path).stat().st_mtime_ns == before
    other = export(checkpoint, "onnx/fp32", tmp_path, replace(CFG, opset=16))
    assert Path(other.path).stat().st_mtime_ns != before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["onnx-fp32"]


def test_a_damaged_artifact_is_made_again(checkpoint: Checkpoint, tmp_path: Path) -> None:
    first = export(checkpoint, "onnx/fp32", tmp_path, CFG)
    Path(first.path).write_bytes(b"damaged")
    assert sha256_file(Path(export(checkpoint, "onnx/fp32", tmp_path, CFG).path)) == first.sha256


def test_a_failed_conversion_leaves_nothing(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr("src.export.onnx._finish", fail)
    with pytest.raises(StageError, match=r"onnx/fp32 failed: RuntimeError: no"):
        export(checkpoint, "onnx/fp32", tmp_path, CFG)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["onnx", "onnx/fp64", "coreml/fp32"])
def test_an_unknown_target_is_refused(target: str, checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=target):
        export(checkpoint, target, tmp_path, CFG)
