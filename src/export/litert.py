"""LiteRT (the successor of TensorFlow Lite), converted from PyTorch; INT8 by Google's own quantiser.

The batch is fixed: the converter writes it into the shapes. Boxes leave the network in 0..1 of the input, so that one
8-bit scale can hold boxes and scores together. A float16 file holds its weights in half the space; they are unpacked to
float32 on loading, and the arithmetic is float32.
"""

from __future__ import annotations

import ast
import json
import re
import zipfile
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.common.backends import Format
from src.common.errors import StageError, UserError
from src.export import readback
from src.export.onnx_precision import calibration_inputs, counts_up
from src.export.request import Built, Job, quiet, versions
from src.inference import Input, Output, spec_of
from src.models.base import ExportSource

if TYPE_CHECKING:
    from torch import nn

FORMAT = Format(
    precisions=("fp32", "fp16", "int8", "int8-dynamic"),
    suffix=".tflite",
    needs={
        "litert_torch": "litert-torch",
        "ai_edge_litert": "ai-edge-litert",
        "ai_edge_quantizer": "ai-edge-quantizer",
    },
    install='install the extra "litert" (make setup)',
)
FILE = "model.tflite"
FREE_NUMBER = (
    "the network keeps a number of boxes that depends on the image (its suppression is inside), and LiteRT's converter "
    "takes fixed numbers alone; onnx and openvino can"
)
CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
MATRIX = "FULLY_CONNECTED"


def tool_versions() -> dict[str, str]:
    """What decides the content of the file."""
    return versions("torch", "litert-torch", "ai-edge-quantizer")


def build(job: Job, folder: Path) -> Built:
    """Convert the network, or quantise the float32 file."""
    path = folder / FILE
    if job.precision == "fp32":
        source = job.source()
        shape, unit = replace(source.input, batch=1), _in_pixels(source.output)
        output = replace(source.output, units="unit") if unit else source.output
        before = _undelegated_before(job, folder, unit)
        _convert(source, path, unit)
        metadata, names = dict(source.metadata), source.names
    else:
        _refuse_kept(job)
        before = {}
        base = job.base("litert/fp32")
        shape, output = spec_of(base)
        _quantise(Path(base.path), path, job, shape)
        metadata, names = _read_metadata(Path(base.path)), base.names
    _write_metadata(path, metadata)
    return Built(path, shape, output, {**readback.litert_facts(path), **before}, names)


def _undelegated_before(job: Job, folder: Path, unit: bool) -> dict[str, str]:
    """What XNNPACK does not take of the network without `export.rewrite`, to hold against what it leaves with it."""
    if not job.cfg.rewrite:
        return {}
    path = folder / "before.tflite"
    _convert(replace(job, cfg=replace(job.cfg, rewrite=[])).source(), path, unit)
    left = readback.undelegated(path)
    path.unlink()
    return {"not_delegated_before": readback.listed(left)}


def _refuse_kept(job: Job) -> None:
    """Layers have other names in this format, and its quantiser excludes operations by tensor.

    Raises:
        UserError: layers are listed that are to stay float.
    """
    if job.kept:
        raise UserError(
            "export.int8.keep lists layers by the names of ONNX, which LiteRT files don't have",
            value=list(job.kept),
            remedy="leave litert/int8 out of export.targets, or export.int8.keep=null; onnx/int8 and openvino/int8 can",
        )


def _in_pixels(output: Output) -> bool:
    """Whether boxes [n, 4 + classes, boxes] are in px, so that they have to be divided by the input's sides."""
    return output.layout == "columns" and output.units == "px"


def _write_metadata(path: Path, metadata: dict[str, str]) -> None:
    """Append what a reader has to know, as an archive that readers of the model don't see; Ultralytics' reader does."""
    entries = {
        k: ast.literal_eval(v) if k in ("stride", "batch", "imgsz", "names", "channels", "end2end") else v
        for k, v in metadata.items()
    }
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("metadata.json"), json.dumps(entries))


def _read_metadata(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        return {k: str(v) for k, v in json.loads(archive.read("metadata.json")).items()}


def _convert(source: ExportSource, path: Path, unit: bool) -> None:
    """Write the file.

    Raises:
        StageError: the converter can't take the network; the message says why.
    """
    with quiet():
        import litert_torch

        model = _with_unit_boxes(source.module, source.input) if unit else source.module
        try:
            litert_torch.convert(model.eval(), (source.example(),)).export(str(path))
        except Exception as error:  # torch's own types change from version to version
            reason = _reason(str(error))
            if not reason:
                raise
            raise StageError("export", "litert", reason) from error


def _reason(text: str) -> str:
    """What the converter's message means, in a sentence; "" where that isn't known."""
    if "data-dependent" in text:
        return FREE_NUMBER
    operator = re.search(r"While executing .*?target=torch\.ops\.(\w+\.\w+)", text, re.DOTALL)
    if operator is None:
        return ""
    return f"LiteRT's converter can't take an operator of this network ({operator[1]}); onnx and openvino can"


def _with_unit_boxes(model: nn.Module, shape: Input) -> nn.Module:
    import torch

    square, sides = shape.width == shape.height, [[[side] for side in (shape.width, shape.height) * 2]]

    class UnitBoxes(torch.nn.Module):
        """Divides the four box rows of the output by the sides of the input."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """[n, 4 + classes, anchors] with coordinates in 0..1."""
            y = self.model(x)
            boxes = y[:, :4] / (shape.width if square else y.new_tensor(sides))
            return torch.cat([boxes, y[:, 4:]], dim=1)

    return UnitBoxes()


def _quantise(source: Path, path: Path, job: Job, shape: Input) -> None:
    with quiet():
        from ai_edge_quantizer import qtyping, quantizer, recipe

        work: Any = quantizer.Quantizer(str(source))
        static, names = job.precision == "int8", qtyping.TFLOperationName
        if job.precision == "fp16":
            _halve(work)
            work.quantize().export_model(str(path))
            return
        if static:
            per = "CHANNELWISE" if job.cfg.int8.weights == "channel" else "TENSORWISE"
            work.add_static_config(".*", names.ALL_SUPPORTED, 8, 8, weight_granularity=qtyping.QuantGranularity[per])
        else:
            work.load_quantization_recipe(recipe.dynamic_wi8_afp32())
        left = [(f"^{re.escape(name)};?$", names.ALL_SUPPORTED) for name in decoding(source)]
        if static:  # callers feed and read float32, whatever is inside
            left += [(".*", names.INPUT), (".*", names.OUTPUT)]
        for scope, operation in left:
            work.update_quantization_recipe(
                regex=scope, operation_name=operation, algorithm_key=recipe.AlgorithmName.NO_QUANTIZE
            )
        if not static:
            work.quantize().export_model(str(path))
            return
        inputs = [{"args_0": x} for x in calibration_inputs(job, shape)]
        result = work.calibrate({"serving_default": inputs})
        work.quantize(calibration_result=result).export_model(str(path))


def _halve(work: Any) -> None:
    """Weights as float16, unpacked by an operation of their own."""
    from ai_edge_quantizer import qtyping, recipe

    half = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    config = qtyping.OpQuantizationConfig(
        weight_tensor_config=half, compute_precision=qtyping.ComputePrecision.FLOAT, explicit_dequantize=True
    )
    work.update_quantization_recipe(
        ".*", qtyping.TFLOperationName.ALL_SUPPORTED, config, algorithm_key=recipe.AlgorithmName.FLOAT_CASTING
    )


def decoding(path: Path) -> list[str]:
    """Names of the tensors that the decoding makes: all between the last layers and the output.

    Layers are convolutions, and where these hold less than half of the weights, as in transformers, matrices too.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES  # a delegate would hide the operations that it takes
    interpreter = Interpreter(model_path=str(path), experimental_op_resolver_type=plain)
    interpreter.allocate_tensors()
    operations = list(interpreter._get_ops_details())
    made_by = {int(i): op for op in operations for i in op["outputs"]}
    names = {int(t["index"]): str(t["name"]) for t in interpreter.get_tensor_details()}
    sizes = {int(t["index"]): int(t["shape"].prod()) for t in interpreter.get_tensor_details()}
    kinds = _rounded_kinds(operations, {i: n for i, n in sizes.items() if i not in made_by})
    waiting = [int(item["index"]) for item in interpreter.get_output_details()]
    found: set[int] = set()
    while waiting:
        index = waiting.pop()
        op = made_by.get(index)
        if op is None or index in found:
            continue
        if op["op_name"] in kinds and not counts_up(interpreter.get_tensor(int(op["inputs"][1]))):
            continue
        found.add(index)
        waiting += [int(i) for i in op["inputs"]]
    return sorted(names[i] for i in found)


def _rounded_kinds(operations: Sequence[Any], stored: Mapping[int, int]) -> Collection[str]:
    """Operations that have the weights.

    Args:
        operations: of the file.
        stored: elements of the tensors that no operation makes.
    """
    held: Counter[str] = Counter()
    for op in operations:
        if op["op_name"] in (*CONVOLUTIONS, MATRIX):
            held[op["op_name"]] += stored.get(int(op["inputs"][1]), 0)
    convolutions = sum(held[kind] for kind in CONVOLUTIONS)
    return CONVOLUTIONS[:1] if convolutions >= readback.MIN_INT8 * held.total() else (CONVOLUTIONS[0], MATRIX)
