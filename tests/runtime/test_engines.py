"""Damaged files and missing devices, for every engine."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from src import runtime
from src.common.errors import Unavailable, UserError
from src.config.schema import RUNTIMES
from src.records.schema import Artifact


def test_every_runtime_of_the_configuration_has_a_module() -> None:
    assert set(RUNTIMES) == set(runtime.ENGINES)
    for name in RUNTIMES:
        assert importlib.util.find_spec(f"src.runtime.{name}") is not None


@pytest.mark.parametrize(
    ("engine", "fmt", "suffix"),
    [
        ("onnxruntime", "onnx", ".onnx"),
        ("openvino", "onnx", ".onnx"),
        ("torchscript", "torchscript", ".torchscript"),
        ("litert", "litert", ".tflite"),
        ("pytorch", "pytorch", ".pt"),
    ],
)
@pytest.mark.parametrize("content", [b"", b"junk" * 100])
def test_a_damaged_file_is_named(
    engine: str, fmt: str, suffix: str, content: bytes, onnx: Artifact, tmp_path: Path
) -> None:
    try:
        runtime.availability(engine)
    except Unavailable as error:
        pytest.skip(str(error))
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"broken{suffix}"):
        runtime.load(engine, replace(onnx, format=fmt, path=str(path)), threads=1)


@pytest.mark.parametrize("engine", ["openvino", "litert", "tensorrt", "onnxruntime_tensorrt", "tensorflow"])
def test_a_missing_library_is_unavailable(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Unavailable, match="install"):
        runtime.availability(engine)


@pytest.mark.parametrize("engine", ["openvino", "litert"])
def test_engines_for_the_processor_refuse_a_gpu(engine: str, onnx: Artifact) -> None:
    try:
        runtime.availability(engine)
    except Unavailable as error:
        pytest.skip(str(error))
    with pytest.raises(Unavailable, match="device=cpu"):
        runtime.load(engine, replace(onnx, format=engine), threads=1, device="cuda")


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed")
def test_openvino_needs_no_torch(onnx: Artifact) -> None:
    code = f"""
import sys
from src import runtime
from src.records.earlier import artifact_from
runtime.load("openvino", artifact_from({asdict(onnx)!r}), threads=1)
assert not {{"torch", "ultralytics", "onnxruntime"}} & set(sys.modules), "imported"
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.slow
def test_compiled_gives_what_eager_gives(pytorch: Artifact) -> None:
    import numpy as np

    try:
        runtime.availability("pytorch_compiled")
    except Unavailable as error:
        pytest.skip(str(error))
    x = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)
    eager = runtime.load("pytorch", pytorch, threads=2).run(x)[0]
    assert np.abs(runtime.load("pytorch_compiled", pytorch, threads=2).run(x)[0] - eager).max() < 1e-2
