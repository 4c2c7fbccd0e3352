"""ONNX with a dynamic batch axis; the other ONNX precisions are made from the float32 file."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path

from src.common.backends import Format
from src.export import onnx_precision, readback
from src.export.request import Built, Job, versions
from src.models.ultralytics.export_source import Source, load_source

FORMAT = Format(precisions=("fp32", "fp16", "int8", "int8-dynamic"), suffix=".onnx")
FILE = "model.onnx"
INPUT, OUTPUT = "images", "output0"


def tool_versions() -> dict[str, str]:
    """What decides the content of the file."""
    return versions("torch", "ultralytics", "onnx", "onnxslim", "onnxruntime")


def build(job: Job, folder: Path) -> Built:
    """Trace the network, slim the graph and check it; or lower the precision of the float32 file."""
    path = folder / FILE
    if job.precision == "fp32":
        source = load_source(job.checkpoint, trust=job.trust)
        _trace(source, path, job.cfg.opset)
        _finish(source, path)
        head = source.head
    else:
        base = job.base("onnx/fp32")
        head = base.head
        onnx_precision.convert(Path(base.path), path, job)
    shape = [-1, 3, job.checkpoint.imgsz, job.checkpoint.imgsz]
    return Built(path, shape, head, tool_versions(), readback.onnx_facts(path))


def _trace(source: Source, path: Path, opset: int) -> None:
    """Write the traced graph. Height and width stay fixed: anchors become constants, and engines optimise better."""
    import torch

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            source.model,
            (source.example(),),
            str(path),
            opset_version=opset,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: {0: "batch"}, OUTPUT: {0: "batch"}},
            dynamo=False,
        )


def _finish(source: Source, path: Path) -> None:
    """Slim the graph, add what a reader has to know, check and save."""
    import onnx
    import onnxslim

    model = onnxslim.slim(onnx.load(str(path)))
    onnx.helper.set_model_props(model, source.metadata())
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
