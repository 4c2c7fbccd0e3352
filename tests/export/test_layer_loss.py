"""The noise of each layer is that of its rounding: known for two convolutions, and larger where it must be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from src.common.errors import UserError
from src.export import onnx_precision
from src.export.layer_loss import layer_losses, losses_beside, save_losses

RNG = np.random.default_rng(0)
INPUTS = [RNG.random((1, 3, 16, 16), np.float32) for _ in range(4)]


def two_layers(path: Path, *, outlier: float = 1.0) -> Path:
    """A network of two convolutions; one weight of the second is `outlier` times the largest of the others."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    first, second = (RNG.normal(0, 0.2, shape).astype(np.float32) for shape in ((8, 3, 3, 3), (4, 8, 3, 3)))
    second[:, 0, 0, 0] = outlier * np.abs(second).max()
    nodes = [
        helper.make_node("Conv", ["images", "w1"], ["a"], "first", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node("Conv", ["b", "w2"], ["c"], "second", pads=[1, 1, 1, 1]),
        helper.make_node("Sigmoid", ["c"], ["output0"], "end"),
    ]
    source = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 16, 16])
    target = helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["batch", 4, 16, 16])
    weights = [numpy_helper.from_array(first, "w1"), numpy_helper.from_array(second, "w2")]
    model = helper.make_model(
        helper.make_graph(nodes, "two", [source], [target], weights),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.save(model, str(path))
    return path


def quantised(tmp_path: Path, *, outlier: float = 1.0, kept: tuple[str, ...] = ()) -> tuple[Path, Path]:
    source, target = two_layers(tmp_path / "plain.onnx", outlier=outlier), tmp_path / "int8.onnx"
    onnx_precision.static(source, target, INPUTS, kept=kept)
    return source, target


def test_ratios_are_those_of_eight_bits(tmp_path: Path) -> None:
    found = {loss.layer: loss for loss in layer_losses(*quantised(tmp_path), INPUTS)}
    assert set(found) == {"first", "second"}
    for loss in found.values():
        assert 30 < loss.alone_db < 60  # 6 dB a bit, less what the peak lies above the mean
    # What has gathered before a layer is noise of it too; before the first there is nothing.
    assert found["first"].here_db == pytest.approx(found["first"].alone_db, abs=3)
    assert found["second"].here_db < found["second"].alone_db
    assert found["first"].weights == 8 * 3 * 9


def test_a_layer_with_an_outlier_comes_first(tmp_path: Path) -> None:
    even = {loss.layer: loss.alone_db for loss in layer_losses(*quantised(tmp_path), INPUTS)}
    bad = layer_losses(*quantised(tmp_path, outlier=40), INPUTS)
    assert bad[0].layer == "second"
    assert bad[0].alone_db < even["second"] - 3


def test_a_layer_that_stays_float_has_no_noise_of_its_own(tmp_path: Path) -> None:
    source, target = quantised(tmp_path, kept=("second",))
    assert [loss.layer for loss in layer_losses(source, target, INPUTS)] == ["first"]


def test_a_layer_that_is_not_there_is_refused_with_its_neighbours(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"(?s)secnd.*such as: second"):
        quantised(tmp_path, kept=("secnd",))


def test_what_was_measured_is_read_again(tmp_path: Path) -> None:
    source, target = quantised(tmp_path)
    assert losses_beside(target) == []
    save_losses(source, target, INPUTS)
    assert losses_beside(target) == layer_losses(source, target, INPUTS)
