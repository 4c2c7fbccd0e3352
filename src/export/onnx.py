"""ONNX with a dynamic batch axis; the other ONNX precisions are made from the float32 file."""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import replace
from pathlib import Path

from src.common.backends import Format
from src.export import onnx_precision, readback
from src.export.request import Built, Job, versions
from src.inference import spec_of
from src.models.base import ExportSource

FORMAT = Format(precisions=("fp32", "fp16", "int8", "int8-dynamic"), suffix=".onnx")
FILE = "model.onnx"
INPUT = "images"


def tool_versions() -> dict[str, str]:
    """What decides the content of the file."""
    return versions("torch", "onnx", "onnxslim", "onnxruntime")


def build(job: Job, folder: Path) -> Built:
    """Trace the network, slim the graph and check it; or lower the precision of the float32 file."""
    path = folder / FILE
    if job.precision == "fp32":
        source = job.source()
        _trace(source, path, job.cfg.opset)
        _finish(source, path)
        shape, output = replace(source.input, batch=0 if source.dynamic_batch else 1), source.output
    else:
        base = job.base("onnx/fp32")
        shape, output = spec_of(base)
        onnx_precision.convert(Path(base.path), path, job, shape)
    return Built(path, shape, output, readback.onnx_facts(path))


def _trace(source: ExportSource, path: Path, opset: int) -> None:
    """Write the traced graph. Height and width stay fixed: anchors become constants, and engines optimise better."""
    import torch

    example = source.example()
    with torch.no_grad():
        answer = source.module(example)
    outputs = [f"output{i}" for i in range(len(answer) if isinstance(answer, (tuple, list)) else 1)]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            source.module,
            (example,),
            str(path),
            opset_version=opset,
            input_names=[INPUT],
            output_names=outputs,
            dynamic_axes={name: {0: "batch"} for name in (INPUT, *outputs)} if source.dynamic_batch else None,
            dynamo=False,
        )


def _finish(source: ExportSource, path: Path) -> None:
    """Slim the graph, add what a reader has to know, check and save."""
    import onnx
    import onnxslim

    model = onnxslim.slim(onnx.load(str(path)))
    onnx.helper.set_model_props(model, dict(source.metadata))
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
