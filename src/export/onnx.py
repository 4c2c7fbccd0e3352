"""ONNX, with the axes free that `export.dynamic` names; the other ONNX precisions are made from the float32 file."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from src.common.backends import Format
from src.common.errors import UserError
from src.config.schema import ExportConfig
from src.export import onnx_precision, readback
from src.export.request import Built, Job, quiet, versions
from src.inference import spec_of
from src.models.base import ExportSource

if TYPE_CHECKING:
    from torch import nn

FORMAT = Format(precisions=("fp32", "fp16", "int8", "int8-dynamic"), suffix=".onnx")
FILE = "model.onnx"
INPUT = "images"
SIDES = {2: "height", 3: "width"}


def tool_versions() -> dict[str, str]:
    """What decides the content of the file."""
    return versions("torch", "onnx", "onnxslim", "onnxruntime")


def build(job: Job, folder: Path) -> Built:
    """Trace the network, slim the graph and check it; or lower the precision of the float32 file."""
    path = folder / FILE
    if job.precision == "fp32":
        source = job.source()
        axes = free_axes(source, job.cfg.dynamic)
        _trace(source, path, job.cfg.opset, axes)
        _finish(source, path, job.cfg)
        shape, output, names = replace(source.input, batch=0 if axes else 1), source.output, source.names
    else:
        base = job.base("onnx/fp32")
        (shape, output), names = spec_of(base), base.names
        onnx_precision.convert(Path(base.path), path, job, shape)
    return Built(path, shape, output, readback.onnx_facts(path), names)


def free_axes(source: ExportSource, dynamic: str) -> dict[int, str]:
    """Axes of the input that stay free, by name: those asked for, as far as the network can have them.

    A batch that can't be free is fixed at 1 without a word: it is the default, and the file says so. A size is asked
    for on purpose.

    Raises:
        UserError: the size is to be free, and the network is made for one size.
    """
    if dynamic == "none" or (dynamic == "batch" and not source.dynamic_batch):
        return {}
    if dynamic == "batch":
        return {0: "batch"}
    if source.free_size is None or not source.dynamic_batch:
        raise UserError(
            "this network is traced for one size: its grid and anchors become constants",
            value="export.dynamic=size",
            remedy="export.dynamic=batch, or a model of the ultralytics family",
        )
    return {0: "batch", **SIDES}


def _trace(source: ExportSource, path: Path, opset: int, axes: dict[int, str]) -> None:
    """Write the traced graph.

    With fixed height and width anchors become constants, and engines optimise better. With free ones the output's
    number of boxes is free too.

    Raises:
        UserError: an operator of the network is newer than the opset.
    """
    import torch

    module, example = _module(source, axes), source.example()
    with torch.no_grad():
        answer = module(example)
    outputs = [f"output{i}" for i in range(len(answer) if isinstance(answer, (tuple, list)) else 1)]
    free = {INPUT: axes, **{name: {0: "batch"} for name in outputs}} if axes else None
    try:
        with quiet():
            torch.onnx.export(
                module,
                (example,),
                str(path),
                opset_version=opset,
                input_names=[INPUT],
                output_names=outputs,
                dynamic_axes=free,
                dynamo=False,
            )
    except torch.onnx.errors.UnsupportedOperatorError as error:
        found = re.search(r"operator '(?:aten::)?(\w+)'.*added in version (\d+)", str(error))
        if found is None:
            raise
        raise UserError(
            f"the network has an operator ({found[1]}) that ONNX knows from opset {found[2]} on",
            value=f"export.opset={opset}",
            remedy=f"export.opset={found[2]}",
        ) from None


def _module(source: ExportSource, axes: dict[int, str]) -> nn.Module:
    return source.free_size() if source.free_size is not None and set(SIDES) <= set(axes) else source.module


def _finish(source: ExportSource, path: Path, cfg: ExportConfig) -> None:
    """Slim the graph unless told otherwise, add what a reader has to know, check and save."""
    import onnx
    import onnxslim

    model = onnx.load(str(path))
    if cfg.simplify:
        model = onnxslim.slim(model)
    onnx.helper.set_model_props(model, {**source.metadata, readback.SIMPLIFIED: str(cfg.simplify)})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
