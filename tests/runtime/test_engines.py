"""Damaged files and missing devices, for every engine."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml

from src import runtime
from src.common import backends
from src.common.errors import Unavailable, UserError
from src.records.schema import Artifact
from tests.conftest import ROOT


def test_every_runtime_says_what_it_runs_and_its_facts_are_cheap() -> None:
    code = """
import sys
from src.common import backends
for name in backends.RUNTIMES:
    runs = backends.engine_facts(name).runs
    assert runs and set(runs) <= {*backends.FORMATS, "*"}, name
for name in backends.FORMATS:
    assert backends.format_facts(name).precisions, name
heavy = {"torch", "ultralytics", "onnx", "onnxruntime", "openvino", "cv2", "hydra"} & set(sys.modules)
assert heavy <= {"hydra"}, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_every_configured_runtime_and_format_is_known() -> None:
    """Nothing in `conf/` names an engine or a target that has no row."""
    read = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "conf" / "runtime").glob("*.yaml"))]
    named = {engine for found in read for engine in found.get("engines", [])}
    assert named == set(backends.RUNTIMES)
    read = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "conf" / "export").glob("*.yaml"))]
    made = {target for found in read for target in found.get("targets", [])}
    assert made <= set(backends.targets())
    assert {target.partition("/")[0] for target in made} | {"pytorch"} == set(backends.FORMATS)


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


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_an_engine_needs_neither_torch_nor_another_one(engine: str, onnx: Artifact) -> None:
    if importlib.util.find_spec(engine) is None:
        pytest.skip(f"{engine} is not installed")
    code = f"""
import sys
from src import runtime
from src.records.earlier import artifact_from
runtime.load({engine!r}, artifact_from({asdict(onnx)!r}), threads=1)
assert not {{"torch", "ultralytics", "onnxruntime", "openvino"}} - {{{engine!r}}} & set(sys.modules), "imported"
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
