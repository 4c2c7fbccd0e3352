"""`export.opset`, `simplify` and `dynamic`: what they do to the file, and that the record says what the file says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.common.errors import UserError
from src.config.schema import ExportConfig
from src.export import export, onnx
from src.models.base import family
from src.records.schema import Artifact, Checkpoint
from tests.tiny import make_checkpoint

CFG = ExportConfig(name="test")


def test_the_record_says_what_the_file_says(onnx: Artifact) -> None:
    import onnx as library

    model = library.load(onnx.path)
    assert onnx.facts["opset"] == str(model.opset_import[0].version) == "17"
    assert onnx.facts["ir_version"] == str(model.ir_version)
    assert onnx.facts["free_axes"] == "batch"
    assert onnx.facts["simplified"] == "true"
    assert onnx.names == ["a", "b", "c"]


@pytest.mark.slow
def test_opset_and_simplify_reach_the_file(checkpoint: Checkpoint, onnx: Artifact, tmp_path: Path) -> None:
    import onnxruntime

    made = export(checkpoint, "onnx/fp32", tmp_path, replace(CFG, opset=13, simplify=False))
    assert (made.facts["opset"], made.facts["simplified"]) == ("13", "false")
    assert int(made.facts["nodes"]) > int(onnx.facts["nodes"])
    x = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)
    a, b = (onnxruntime.InferenceSession(file.path).run(None, {"images": x})[0] for file in (made, onnx))
    assert np.abs(a - b).max() < 1e-3


def test_a_fixed_batch_is_fixed(checkpoint: Checkpoint, tmp_path: Path) -> None:
    made = export(checkpoint, "onnx/fp32", tmp_path, replace(CFG, dynamic="none"))
    assert made.facts["free_axes"] == "none"
    assert made.input_shape == [1, 3, 64, 64]


@pytest.mark.slow
def test_a_free_size_gives_the_sources_boxes_at_every_size(checkpoint: Checkpoint, tmp_path: Path) -> None:
    import onnxruntime
    import torch

    made = export(checkpoint, "onnx/fp32", tmp_path, replace(CFG, dynamic="size"))
    assert made.facts["free_axes"] == "batch,height,width"
    assert made.input_shape == [-1, 3, 64, 64]  # it is judged and measured at the size that it was trained for
    session, source = onnxruntime.InferenceSession(made.path), family("ultralytics").load(checkpoint.path)
    for height, width in ((64, 64), (96, 64), (128, 160)):
        x = np.random.default_rng(0).random((2, 3, height, width), np.float32)
        with torch.inference_mode():
            expected = source.module(torch.from_numpy(x)).numpy()
        assert np.abs(session.run(None, {"images": x})[0] - expected).max() < 1e-2


def test_a_network_of_one_size_refuses_a_free_one(checkpoint: Checkpoint) -> None:
    source = replace(family("ultralytics").export_source(checkpoint), free_size=None)
    with pytest.raises(UserError, match=r"(?s)one size.*export.dynamic=size.*export.dynamic=batch"):
        onnx.free_axes(source, "size")
    assert onnx.free_axes(replace(source, dynamic_batch=False), "batch") == {}


@pytest.mark.slow
def test_an_opset_without_an_operator_of_the_network_names_the_first_that_has_it(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path, yaml="rtdetr-l.yaml")
    with pytest.raises(UserError, match=r"(?s)grid_sampler.*export.opset=13.*export.opset=16"):
        export(checkpoint, "onnx/fp32", tmp_path, replace(CFG, opset=13))
