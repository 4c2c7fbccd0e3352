"""What a model file tells of itself, format by format: input shape, precision, metadata, outputs.

Exporters of Ultralytics, and ours, write task, names, head, image size and their arguments into the file (ONNX,
TorchScript, LiteRT, TensorRT) or beside it (OpenVINO); a checkpoint holds the network itself.
"""

from __future__ import annotations

import ast
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from src.common import backends
from src.common.errors import UserError
from src.inference.layout import Declared, Probe, Tensor
from src.inference.types import Float
from src.records.model_io import Input, Output


@dataclass(frozen=True)
class Facts:
    """What was read."""

    shape: list[int]  # n, 3, h, w; -1 or 0 where the file doesn't tell
    precision: str
    declared: Declared
    tensors: list[Tensor] = field(default_factory=list)  # outputs; empty where only running tells
    probe: Callable[[list[int]], list[Float]] | None = None  # runs the model on noise of this shape
    resizable: bool = False  # it runs at any size that is asked for
    family: str = "ultralytics"  # that loads it, where it is a checkpoint
    known: tuple[Input, Output] | None = None  # what its family says of a checkpoint; it need not be found out


def probe_of(facts: Facts, shape: list[int]) -> Probe | None:
    """Runs the model once on noise."""
    run = facts.probe
    if run is None:
        return None
    return lambda: run([max(shape[0], 1), *shape[1:]])


def noise(shape: list[int]) -> Float:
    """An input of this shape, the same every time."""
    return np.random.default_rng(0).random(shape, np.float32)


def pytorch(path: Path, trust: bool) -> Facts:
    """A checkpoint, as its family knows it."""
    from src.models.base import family_of

    own = family_of(path)
    loaded = own.load(path, trust=trust)
    declared = Declared(loaded.output.task, tuple(loaded.names))
    known = loaded.input, loaded.output
    shape = [loaded.input.batch or -1, 3, *loaded.input.size]
    return Facts(shape, "fp32", declared, resizable=True, family=own.name, known=known)


def torchscript(path: Path, trust: bool) -> Facts:
    """A traced module; only running it shows its outputs."""
    import torch

    extra = {"config.txt": ""}
    module = torch.jit.load(str(path), map_location="cpu", _extra_files=extra)
    weights = [p.dtype for p in module.parameters()] or [torch.float32]
    half = weights[0] == torch.float16

    def run(shape: list[int]) -> list[Float]:
        from src.runtime.pytorch import tensors

        with torch.inference_mode():
            answer = module(torch.from_numpy(noise(shape)).to(weights[0]))
        return [np.asarray(item.float().numpy(), np.float32) for item in tensors(answer)]

    metadata = json.loads(extra["config.txt"]) if extra["config.txt"] else {}
    fixed = bool(metadata.get("args")) and not _flag(_arguments(metadata), "dynamic")
    batch = _whole(metadata.get("batch")) if fixed else -1
    return Facts([batch, 3, 0, 0], "fp16" if half else "fp32", declared(metadata), probe=run)


def onnx(path: Path, trust: bool) -> Facts:
    """An ONNX file, by its graph."""
    import onnx as library

    model = library.load(str(path), load_external_data=False)
    stored = {t.name for t in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in stored]
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs)
        raise UserError(f"the model takes {len(inputs)} inputs ({names}), not one batch of pictures", value=path)
    metadata = {p.key: p.value for p in model.metadata_props}
    kinds = {t.data_type for t in model.graph.initializer if int(np.prod(t.dims or [1])) >= 64}
    nodes = {n.op_type for n in model.graph.node}
    precision = "fp16" if library.TensorProto.FLOAT16 in kinds else "fp32"
    if nodes & {"ConvInteger", "DynamicQuantizeLinear"}:
        precision = "int8-dynamic"
    elif nodes & {"QuantizeLinear", "QLinearConv"}:
        precision = "int8"
    outputs = [Tensor(value.name, tuple(_sides(value))) for value in model.graph.output]
    return Facts(_sides(inputs[0]), precision, declared(metadata), outputs, lambda shape: _run_onnx(path, shape))


def _sides(value: Any) -> list[int]:
    return [d.dim_value or -1 for d in value.type.tensor_type.shape.dim]


def _run_onnx(path: Path, shape: list[int]) -> list[Float]:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    kind = np.float16 if "float16" in session.get_inputs()[0].type else np.float32
    answers = session.run(None, {session.get_inputs()[0].name: noise(shape).astype(kind)})
    return [np.asarray(item, np.float32) for item in answers]


def openvino(path: Path, trust: bool) -> Facts:
    """An OpenVINO folder."""
    import openvino as ov
    import yaml

    model: Any = ov.Core().read_model(str(next(iter(sorted(path.glob("*.xml"))))))
    dims = [d.get_length() if d.is_static else -1 for d in model.input(0).partial_shape]
    ops = list(model.get_ops())
    kinds = [op.get_element_type().get_type_name() for op in ops if op.get_type_name() == "Constant"]
    precision = "fp16" if kinds.count("f16") > kinds.count("f32") else "fp32"
    if any(op.get_type_name() == "FakeQuantize" for op in ops):
        precision = "int8"
    elif any(kind in ("i8", "u8") for kind in kinds):
        precision = "int8-dynamic"
    note = path / "metadata.yaml"
    metadata = yaml.safe_load(note.read_text(encoding="utf-8")) if note.is_file() else {}
    outputs = []
    for item in model.outputs:
        shape = item.partial_shape
        sides = [d.get_length() if d.is_static else -1 for d in shape] if shape.rank.is_static else []
        outputs.append(Tensor(next(iter(sorted(item.get_names())), ""), tuple(sides)))

    def run(shape: list[int]) -> list[Float]:
        model.reshape(shape)
        answers = ov.Core().compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": 1})({0: noise(shape)})
        return [np.array(answers[i], np.float32) for i in range(len(answers))]

    return Facts(dims, precision, declared(metadata if isinstance(metadata, dict) else {}), outputs, run)


def litert(path: Path, trust: bool) -> Facts:
    """A LiteRT file; coordinates are in 0..1, as Ultralytics leaves them here, and so do others."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    dims = [int(side) for side in interpreter.get_input_details()[0]["shape"]]
    last = len(dims) == 4 and dims[-1] == 3
    if last:
        dims = [dims[0], 3, dims[1], dims[2]]
    types = [t["dtype"].__name__ for t in interpreter.get_tensor_details()]
    nodes = {op["op_name"] for op in interpreter._get_ops_details()}
    precision = "fp32"
    if "int8" in types:
        precision = "int8" if nodes & {"QUANTIZE", "DEQUANTIZE"} else "int8-dynamic"
    outputs = [
        Tensor(str(item["name"]), tuple(int(side) for side in item["shape"]))
        for item in interpreter.get_output_details()
    ]

    def run(shape: list[int]) -> list[Float]:
        from src.runtime.litert import LiteRtSession

        interpreter.allocate_tensors()
        return LiteRtSession(interpreter, "").run(noise(shape))

    return Facts(dims, precision, declared(_litert_notes(path), unit=True, listed_unit=last), outputs, run)


def _litert_notes(path: Path) -> dict[str, Any]:
    """Metadata that is appended as a zip archive; by Ultralytics' name for it, else whatever JSON there is."""
    if not zipfile.is_zipfile(path):
        return {}
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist(), key=lambda n: n != "metadata.json"):
            text = archive.read(name).decode("utf-8", "replace")
            try:
                found = json.loads(text)
            except ValueError:
                found = _literal(text)
            if isinstance(found, dict):
                return found
    return {}


def tensorrt(path: Path, trust: bool) -> Facts:
    """An engine can be read on its own GPU only; Ultralytics puts a length and its metadata in front of it."""
    with open(path, "rb") as stream:
        length = int.from_bytes(stream.read(4), "little")
        metadata = json.loads(stream.read(length)) if 0 < length < 100_000 else {}
    return Facts([-1, 3, 0, 0], "fp32", declared(metadata))


def declared(metadata: dict[str, Any], *, unit: bool = False, listed_unit: bool = False) -> Declared:
    """What metadata says, written as text or as values."""
    arguments = _arguments(metadata)
    keypoints = _literal(metadata.get("kpt_shape"))
    return Declared(
        task=str(metadata.get("task") or ""),
        names=_names(metadata.get("names")),
        decoder=str(metadata.get("head") or ""),
        nms=_flag(arguments, "nms") or _flag(metadata, "nms"),
        end2end=_flag(metadata, "end2end"),
        keypoints=int(np.prod(keypoints)) if isinstance(keypoints, (list, tuple)) and len(keypoints) == 2 else 0,
        size=_size(_literal(metadata.get("imgsz"))),
        unit=unit,
        listed_unit=listed_unit,
        batch=_whole(metadata.get("batch")),
    )


def _arguments(metadata: dict[str, Any]) -> dict[str, Any]:
    found = _literal(metadata.get("args"))
    return found if isinstance(found, dict) else {}


def _literal(value: Any) -> Any:
    """A value that may be written as text; text that is none stays text."""
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return value


def _flag(metadata: dict[str, Any], key: str) -> bool:
    return str(metadata.get(key)).lower() in ("true", "1")


def _names(value: Any) -> tuple[str, ...]:
    """Class names by id; empty where they are no complete list."""
    found = _literal(value)
    if isinstance(found, dict):
        by_id = {str(key): name for key, name in found.items()}
        found = [by_id[str(i)] for i in range(len(by_id))] if set(by_id) == set(map(str, range(len(by_id)))) else []
    return tuple(str(name) for name in found) if isinstance(found, (list, tuple)) else ()


def _whole(value: Any) -> int:
    found = _literal(value)
    return found if type(found) is int and found > 0 else 0


def _size(value: Any) -> tuple[int, int] | None:
    """Height and width of a side, a list of one or two."""
    sides: Sequence[Any] = value if isinstance(value, (list, tuple)) else [value]
    if not sides or not all(isinstance(side, int) and side > 0 for side in sides):
        return None
    return int(sides[0]), int(sides[-1])


# Of the formats that other tools write too; the module of a format may bring its own.
READERS: dict[str, Callable[[Path, bool], Facts]] = {
    "pytorch": pytorch,
    "torchscript": torchscript,
    "onnx": onnx,
    "openvino": openvino,
    "litert": litert,
    "tensorrt": tensorrt,
}


def reader_of(fmt: str) -> Callable[[Path, bool], Facts]:
    """What reads a file of this format: the function above, else `read` of the format's module.

    Raises:
        UserError: there is neither.
    """
    reader: Callable[[Path, bool], Facts] | None
    reader = READERS.get(fmt) or getattr(backends.format_module(fmt), "read", None)
    if reader is None:
        raise UserError("files of this format can't be read without the manifest that was written with them", value=fmt)
    return reader
