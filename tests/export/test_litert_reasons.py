"""What LiteRT can't take is said in a sentence, whatever its converter calls it; other failures keep their words."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from src.common.errors import StageError
from src.export import litert
from src.models.base import ExportSource
from src.records.model_io import Input, layout

SYMBOLS = "GuardOnDataDependentSymNode: Could not guard on data-dependent expression 4*Min(300, u0) > 4000"


def fails_with(text: str, monkeypatch: pytest.MonkeyPatch) -> ExportSource:
    """A network whose conversion fails so."""
    import torch

    def convert(*_: object) -> None:
        raise RuntimeError(text)

    monkeypatch.setitem(sys.modules, "litert_torch", SimpleNamespace(convert=convert))
    shape = Input(32, 32, batch=1)
    return ExportSource(torch.nn.Identity(), ["a"], shape, layout("dense", 1), dynamic_batch=False, metadata={})


def test_a_number_of_boxes_that_depends_on_the_image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"depends on the image.*onnx and openvino can") as caught:
        litert._convert(fails_with(SYMBOLS, monkeypatch), tmp_path / "model.tflite", unit=False)
    assert "Min(" not in str(caught.value)


def test_an_operator_that_the_converter_lacks_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = "'list' object has no attribute 'dtype'\n\nWhile executing %split_with_sizes_1 : [num_users=1] = "
    text += "call_function[target=torch.ops.aten.split_with_sizes.default](args = (%view_145, [64], 1), kwargs = {})"
    with pytest.raises(StageError, match=r"operator of this network \(aten\.split_with_sizes\)") as caught:
        litert._convert(fails_with(text, monkeypatch), tmp_path / "model.tflite", unit=False)
    assert "call_function" not in str(caught.value)


def test_other_failures_keep_their_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no such operator"):
        litert._convert(fails_with("no such operator", monkeypatch), tmp_path / "model.tflite", unit=False)
