"""Every engine behind the same protocol."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src import runtime
from src.common.errors import Unavailable, UserError
from src.records.schema import Artifact


def _input(batch: int) -> runtime.protocol.Float:
    return np.random.default_rng(0).random((batch, 3, 64, 64), np.float32)


@pytest.mark.parametrize("batch", [1, 3])
def test_onnxruntime_gives_what_pytorch_gives(onnx: Artifact, pytorch: Artifact, batch: int) -> None:
    x = _input(batch)
    expected = runtime.load("pytorch", pytorch, threads=1).run(x)[0]
    session = runtime.load("onnxruntime", onnx, threads=1)
    (output,) = session.run(x)
    assert output.shape == expected.shape == (batch, 7, 84)
    assert output.dtype == np.float32
    assert np.abs(output - expected).max() < 1e-2
    assert session.providers == ["CPUExecutionProvider"]


def test_beside_others_the_numbers_are_the_same_and_idle_threads_sleep(onnx: Artifact) -> None:
    import time

    x = np.random.default_rng(0).random((8, 3, 64, 64), np.float32)
    alone = runtime.load("onnxruntime", onnx, threads=1).run(x)[0]
    session = runtime.load("onnxruntime", onnx, threads=4, beside_others=True)
    assert np.array_equal(session.run(x)[0], alone)
    begun = time.process_time()
    for _ in range(10):
        session.run(x)
        time.sleep(0.02)
    beside = time.process_time() - begun
    spinning = runtime.load("onnxruntime", onnx, threads=4)
    spinning.run(x)
    begun = time.process_time()
    for _ in range(10):
        spinning.run(x)
        time.sleep(0.02)
    assert beside < 0.7 * (time.process_time() - begun)


@pytest.mark.parametrize("name", ["dense", "rows", "objectness", "queries", "end2end"])
def test_null_finds_nothing(name: str, onnx: Artifact) -> None:
    from src.inference import decode
    from src.records.model_io import layout

    output = layout(name, 3, "detect")
    outputs = runtime.load("null", replace(onnx, output=output), threads=1).run(_input(2))
    assert [len(scores) for _, scores, _ in decode(outputs, output, (64, 64))] == [0, 0]


@pytest.mark.parametrize(
    ("engine", "fmt", "expected"),
    [("onnxruntime", "onnx", True), ("onnxruntime", "pytorch", False), ("null", "onnx", True), ("none", "onnx", False)],
)
def test_supports(engine: str, fmt: str, expected: bool) -> None:
    assert runtime.supports(engine, fmt, "fp32") is expected


def test_errors_name_what_is_wrong(onnx: Artifact, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="abacus"):
        runtime.load("abacus", onnx, threads=1)
    with pytest.raises(Unavailable, match="pytorch does not run onnx/fp32"):
        runtime.load("pytorch", onnx, threads=1)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(Path(onnx.path).read_bytes()[:5000])
    with pytest.raises(UserError, match=r"broken\.onnx"):
        runtime.load("onnxruntime", replace(onnx, path=str(broken)), threads=1)
    with pytest.raises(UserError, match=r"missing\.onnx"):
        runtime.load("onnxruntime", replace(onnx, path=str(tmp_path / "missing.onnx")), threads=1)


def test_a_missing_engine_is_unavailable(onnx: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Unavailable, match="make setup"):
        runtime.availability("onnxruntime")


def test_a_gpu_that_is_not_there_is_unavailable(onnx: Artifact) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this build has the CUDA provider")
    with pytest.raises(Unavailable, match="CUDA"):
        runtime.load("onnxruntime", onnx, threads=1, device="cuda")
