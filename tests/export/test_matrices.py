"""Static INT8 of networks whose weights are in matrices: these are rounded, and what is no matrix of weights is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.export import onnx_precision, readback
from src.export.layer_loss import layer_losses

RNG = np.random.default_rng(0)
INPUTS = [RNG.random((1, 3, 16, 16), np.float32) for _ in range(4)]
WIDTH, TOKENS, HEADS, BINS = 32, 16, 4, 33


def network(path: Path, *, channels: int = WIDTH) -> Path:
    """Patches, a projection, attention over constant values, a matrix that ends in bins, and the sum over these.

    Args:
        path: file to write.
        channels: of a convolution beside; with many it holds most of the weights.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    shapes = {
        "patch_w": (WIDTH, 3, 4, 4),
        "beside_w": (channels, 3, 4, 4),
        "project_w": (WIDTH, WIDTH),
        "project_b": (WIDTH,),
        "values": (1, HEADS, TOKENS, WIDTH // HEADS),
        "bins_w": (WIDTH, BINS),
        "sum_w": (BINS, 1),
    }
    numbers = {
        "tokens": [TOKENS, WIDTH],
        "heads": [1, TOKENS, HEADS, WIDTH // HEADS],
    }
    weights = [numpy_helper.from_array(RNG.normal(0, 0.3, s).astype(np.float32), n) for n, s in shapes.items()]
    weights += [numpy_helper.from_array(np.array(v, np.int64), n) for n, v in numbers.items()]
    nodes = [
        helper.make_node("Conv", ["images", "patch_w"], ["a"], "patch", strides=[4, 4]),
        helper.make_node("Reshape", ["a", "tokens"], ["b"], "to_tokens"),
        helper.make_node("Gemm", ["b", "project_w", "project_b"], ["c"], "project", transB=1),
        helper.make_node("Reshape", ["c", "heads"], ["d"], "to_heads"),
        helper.make_node("Transpose", ["d"], ["q"], "heads_first", perm=[0, 2, 1, 3]),
        helper.make_node("Transpose", ["values"], ["k"], "turned", perm=[0, 1, 3, 2]),
        helper.make_node("MatMul", ["q", "k"], ["s"], "scores"),
        helper.make_node("Softmax", ["s"], ["p"], "softmax", axis=-1),
        helper.make_node("MatMul", ["p", "values"], ["o"], "attend"),
        helper.make_node("Reshape", ["o", "tokens"], ["r"], "back"),
        helper.make_node("MatMul", ["r", "bins_w"], ["t"], "bins"),
        helper.make_node("MatMul", ["t", "sum_w"], ["output0"], "sum"),
        helper.make_node("Conv", ["images", "beside_w"], ["output1"], "beside", strides=[4, 4]),
    ]
    given = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 16, 16])
    told = [
        helper.make_tensor_value_info("output0", TensorProto.FLOAT, [TOKENS, 1]),
        helper.make_tensor_value_info("output1", TensorProto.FLOAT, [1, channels, 4, 4]),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "matrices", [given], told, weights),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.save(model, str(path))
    return path


def quantised(tmp_path: Path, *, channels: int = 1, **how: Any) -> tuple[Path, Path]:
    """The network and its static INT8."""
    source, target = network(tmp_path / "plain.onnx", channels=channels), tmp_path / "int8.onnx"
    onnx_precision.static(source, target, INPUTS, **how)
    return source, target


def answer(path: Path, x: np.ndarray[Any, np.dtype[np.float32]]) -> Any:
    import onnxruntime as ort

    return ort.InferenceSession(str(path)).run(["output0"], {"images": x})[0]


@pytest.fixture
def few_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The patches of so small a network hold more than half of its weights: the limit is lowered for them."""
    monkeypatch.setattr(onnx_precision, "MIN_INT8", 0.75)


@pytest.mark.usefixtures("few_convolutions")
@pytest.mark.parametrize("how", [{}, {"per_channel": False}, {"symmetric": True}], ids=str)
def test_matrices_of_weights_are_rounded_where_they_hold_the_network(tmp_path: Path, how: dict[str, Any]) -> None:
    source, target = quantised(tmp_path, **how)
    facts = readback.onnx_facts(target)
    assert float(facts["weights_i8"]) > 0.7, "the constant values of attention are left"
    assert facts["int8_layers"] == "4"
    for x in INPUTS:
        expected, found = answer(source, x), answer(target, x)
        assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()
        assert not np.array_equal(found, expected)


@pytest.mark.usefixtures("few_convolutions")
def test_products_that_have_no_matrix_of_weights_stay_float(tmp_path: Path) -> None:
    source, target = quantised(tmp_path)
    assert onnx_precision.layers(source) == ["patch", "project", "bins", "beside"]
    assert set(onnx_precision.unquantised(source)) == {"scores", "attend", "sum"}
    assert {loss.layer for loss in layer_losses(source, target, INPUTS)} == {"patch", "project", "bins", "beside"}


@pytest.mark.usefixtures("few_convolutions")
def test_a_matrix_that_is_kept_stays_float(tmp_path: Path) -> None:
    source, target = quantised(tmp_path, kept=("bins",))
    found = {loss.layer: loss for loss in layer_losses(source, target, INPUTS)}
    assert set(found) == {"patch", "project", "beside"}
    assert 25 < found["project"].alone_db < 60  # what eight bits make of it


def test_where_convolutions_hold_the_network_matrices_stay_float(tmp_path: Path) -> None:
    source, target = quantised(tmp_path, channels=256)
    assert onnx_precision.layers(source) == ["patch", "beside"]
    assert readback.onnx_facts(target)["int8_layers"] == "2"


@pytest.mark.usefixtures("few_convolutions")
def test_openvino_leaves_what_follows_the_last_matrix(tmp_path: Path) -> None:
    ov = pytest.importorskip("openvino")
    from src.export import openvino

    source = network(tmp_path / "plain.onnx", channels=1)
    model = ov.convert_model(source)
    known = openvino.operations(model, source)
    assert list(known) == ["patch", "project", "bins", "beside"]
    assert known["project"] != "project", "the sum with the bias has the layer's name"
    assert openvino.decoding(model, known.values()) == ["output0"], "named as what it gives"
