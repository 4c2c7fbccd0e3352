"""Model files in a folder, whoever made them, as artifacts: what they are is read from the files themselves.

What can't be read from a file comes from what its maker wrote into it (Ultralytics adds the image size, the names and
the kind of head), and what isn't there either must be given.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from src.errors import UserError
from src.records import Artifact, sha256_file

SUFFIXES = {
    ".pt": "pytorch",
    ".torchscript": "torchscript",
    ".onnx": "onnx",
    ".tflite": "litert",
    ".engine": "tensorrt",
}
Facts = dict[str, Any]  # shape, head, precision


def discover(folder: Path, *, imgsz: int | None = None, trust: bool = False) -> list[Artifact]:
    """Find the model files of a folder and its subfolders, in order of their paths.

    Args:
        folder: where they lie; a single file is taken too.
        imgsz: side of the input, px, for files that don't say theirs.
        trust: allow checkpoints that need unsafe unpickling.

    Raises:
        UserError: there is none, one is damaged, or one doesn't say its input size.
    """
    found = [(path, fmt) for path in _candidates(folder) if (fmt := format_of(path)) is not None]
    if not found:
        raise UserError(
            "no model files in the folder",
            value=folder,
            remedy=f"a folder with files of: {', '.join(SUFFIXES)}, or OpenVINO folders",
        )
    checkpoints = [path for path, fmt in found if fmt == "pytorch"]
    source = sha256_file(checkpoints[0]) if len(checkpoints) == 1 else ""
    return [describe(path, fmt, source, imgsz, trust) for path, fmt in found]


def _candidates(folder: Path) -> Sequence[Path]:
    if not folder.exists():
        raise UserError("the folder does not exist", value=folder, remedy="artifacts=DIR with model files in it")
    if folder.is_file() or format_of(folder) is not None:
        return [folder]
    inside = sorted(path for path in folder.rglob("*") if not any(p.startswith(".") for p in path.parts))
    return [path for path in inside if format_of(path.parent) != "openvino"]


def format_of(path: Path) -> str | None:
    """The format that a path looks like, or None."""
    if path.is_dir():
        return "openvino" if list(path.glob("*.xml")) and list(path.glob("*.bin")) else None
    return SUFFIXES.get(path.suffix)


def describe(path: Path, fmt: str, source: str, imgsz: int | None, trust: bool) -> Artifact:
    """One model file as an artifact.

    Raises:
        UserError: it is damaged, or its input size is not known.
    """
    try:
        facts = READERS[fmt](path, trust)
    except UserError:
        raise
    except Exception as error:  # readers are foreign code, and each fails in its own way on a damaged file
        text = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"the file is no {fmt} model that can be read ({text})", value=path, remedy="remove it"
        ) from None
    shape = [int(side) for side in facts["shape"]]
    shape = [*shape[:2], *(side if side > 0 else int(imgsz or facts.get("imgsz") or 0) for side in shape[2:])]
    if len(shape) != 4 or shape[2] <= 0 or shape[2] != shape[3]:
        raise UserError("the input is not a square of a known size", value=f"{path}: {shape}", remedy="imgsz=640")
    size = sum(p.stat().st_size for p in path.rglob("*") if p.is_file()) if path.is_dir() else path.stat().st_size
    return Artifact(
        format=fmt,
        precision=facts["precision"],
        path=str(path),
        sha256=sha256_file(path),
        size_bytes=size,
        input_shape=shape,
        export_s=0.0,
        source_sha256=source,
        head=facts["head"],
    )


def _pytorch(path: Path, trust: bool) -> Facts:
    from src.ultra import load_checkpoint

    model: Any = load_checkpoint(path, trust)
    head = "queries" if type(model.model[-1]).__name__ == "RTDETRDecoder" else "dense"
    size = getattr(model, "args", {})
    imgsz = size.get("imgsz") if isinstance(size, dict) else getattr(size, "imgsz", None)
    return {"shape": [-1, 3, 0, 0], "imgsz": imgsz, "head": head, "precision": "fp32"}


def _torchscript(path: Path, trust: bool) -> Facts:
    import torch

    extra = {"config.txt": ""}
    module = torch.jit.load(str(path), map_location="cpu", _extra_files=extra)
    weights = [p.dtype for p in module.parameters()] or [torch.float32]
    told = json.loads(extra["config.txt"]) if extra["config.txt"] else {}
    half = weights[0] == torch.float16
    return {"shape": [-1, 3, 0, 0], **_told(told), "precision": "fp16" if half else "fp32"}


def _onnx(path: Path, trust: bool) -> Facts:
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    dims = [d.dim_value or -1 for d in model.graph.input[0].type.tensor_type.shape.dim]
    told = {p.key: p.value for p in model.metadata_props}
    kinds = {t.data_type for t in model.graph.initializer if _count(t.dims) >= 64}
    nodes = {n.op_type for n in model.graph.node}
    precision = "fp16" if onnx.TensorProto.FLOAT16 in kinds else "fp32"
    if nodes & {"ConvInteger", "DynamicQuantizeLinear"}:
        precision = "int8-dynamic"
    elif nodes & {"QuantizeLinear", "QLinearConv"}:
        precision = "int8"
    return {**_told(told), "shape": dims, "precision": precision}


def _count(sides: Sequence[int]) -> int:
    total = 1
    for side in sides:
        total *= side
    return total


def _openvino(path: Path, trust: bool) -> Facts:
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
    told = yaml.safe_load(note.read_text(encoding="utf-8")) if note.is_file() else {}
    return {**_told(told or {}), "shape": dims, "precision": precision}


def _litert(path: Path, trust: bool) -> Facts:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    dims = [int(side) for side in interpreter.get_input_details()[0]["shape"]]
    if dims[-1] == 3:  # channels last
        dims = [dims[0], 3, dims[1], dims[2]]
    types = [t["dtype"].__name__ for t in interpreter.get_tensor_details()]
    nodes = {op["op_name"] for op in interpreter._get_ops_details()}
    precision = "fp32"
    if "int8" in types:
        precision = "int8" if nodes & {"QUANTIZE", "DEQUANTIZE"} else "int8-dynamic"
    told = {}
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            told = json.loads(archive.read("metadata.json"))
    facts = _told(told)
    if facts["head"] == "dense":  # Ultralytics, too, leaves coordinates in 0..1 here
        facts["head"] = "dense_unit"
    return {**facts, "shape": dims, "precision": precision}


def _tensorrt(path: Path, trust: bool) -> Facts:
    """An engine can be read on its own GPU only; Ultralytics puts a length and its metadata in front of it."""
    with open(path, "rb") as stream:
        length = int.from_bytes(stream.read(4), "little")
        told = json.loads(stream.read(length)) if 0 < length < 100_000 else {}
    return {"shape": [-1, 3, 0, 0], **_told(told), "precision": "fp32"}


def _told(metadata: dict[str, Any]) -> Facts:
    """Head and image size, as Ultralytics' exporters and ours write them."""
    import ast

    size = metadata.get("imgsz")
    if isinstance(size, str):
        size = ast.literal_eval(size)
    head = "dense"
    if str(metadata.get("head")) == "RTDETRDecoder":
        head = "queries"
    elif str(metadata.get("end2end")) == "True":
        head = "end2end"
    return {"head": head, "imgsz": size[0] if isinstance(size, (list, tuple)) else size}


READERS: dict[str, Callable[[Path, bool], Facts]] = {
    "pytorch": _pytorch,
    "torchscript": _torchscript,
    "onnx": _onnx,
    "openvino": _openvino,
    "litert": _litert,
    "tensorrt": _tensorrt,
}
