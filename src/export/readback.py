"""What an exported file really is, read back from the file: element types of weights, quantised nodes.

A converter may drop a precision without a word. The facts go into the artifact's record, and a label that they
contradict fails the export.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from src.common.errors import StageError

MOST = 0.9  # share of weight elements that must have the type of the label
MIN_INT8 = 0.5  # heads and first layers may stay float in a quantised file
SIMPLIFIED = "simplified"  # entry of an ONNX file's own properties: whether its graph was slimmed
DELEGATE = "DELEGATE"  # the operation that stands for all those that XNNPACK takes together
MATRICES = ("MatMul", "Gemm")
WEIGHTED = ("Conv", *MATRICES)  # ONNX's operators that have weights
SMALL = 64  # tensors of fewer elements (biases, scales, shapes) say nothing


def check_label(label: str, facts: dict[str, str]) -> None:
    """Refuse a file whose weights are not what its label says.

    Args:
        label: format/precision.
        facts: with `weights_<type>`: share of the weight elements of that type.

    Raises:
        StageError: the label is not true.
    """
    precision = label.partition("/")[2]
    kind, need = {"fp32": ("f32", MOST), "fp16": ("f16", MOST)}.get(precision, ("i8", MIN_INT8))
    shares = {k.removeprefix("weights_"): float(v) for k, v in facts.items() if k.startswith("weights_")}
    if not shares:
        return
    if shares.get(kind, 0.0) < need:
        found = ", ".join(f"{share:.0%} {name}" for name, share in sorted(shares.items()))
        why = "; too few of them are in layers that are rounded" if precision == "int8" else ""
        raise StageError("export", label, f"the file is not what its name says: its weights are {found}{why}")
    if precision == "int8" and facts.get("quantize_nodes") == "0":
        raise StageError("export", label, "the file has no quantised activations")


def shares_of(elements: Counter[str]) -> dict[str, str]:
    """Counts of weight elements by type, as shares."""
    total = sum(elements.values())
    return {f"weights_{kind}": f"{count / total:.4f}" for kind, count in sorted(elements.items()) if count}


def onnx_facts(path: Path) -> dict[str, str]:
    """Weight types and quantisation nodes of an ONNX file."""
    import onnx

    names = {
        onnx.TensorProto.FLOAT: "f32",
        onnx.TensorProto.FLOAT16: "f16",
        onnx.TensorProto.INT8: "i8",
        onnx.TensorProto.UINT8: "i8",
    }
    model = onnx.load(str(path))
    graph = model.graph
    elements: Counter[str] = Counter()
    for tensor in graph.initializer:
        count = 1
        for side in tensor.dims:
            count *= side
        if count >= SMALL and tensor.data_type in names:
            elements[names[tensor.data_type]] += count
    nodes = Counter(node.op_type for node in graph.node)
    quantise = nodes["QuantizeLinear"] + nodes["DynamicQuantizeLinear"]
    integer = nodes["ConvInteger"] + nodes["QLinearConv"] + nodes["MatMulInteger"]
    return shares_of(elements) | {
        "nodes": str(sum(nodes.values())),
        "quantize_nodes": str(quantise),
        "dequantize_nodes": str(nodes["DequantizeLinear"]),
        "integer_nodes": str(integer),
        "cast_nodes": str(nodes["Cast"]),
        **_layers(graph),
        **_onnx_form(model),
    }


def _layers(graph: Any) -> dict[str, str]:
    """How many layers with stored weights compute in integers in a Q/DQ file, and how many not; nothing of others."""
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    stored = {tensor.name for tensor in graph.initializer}
    fed = [node.input[1] for node in graph.node if node.op_type in WEIGHTED]
    rounded = [made_by.get(name) for name in fed].count("DequantizeLinear")
    left = sum(name in stored for name in fed)
    return {"int8_layers": str(rounded), "float_layers": str(left)} if rounded else {}


def _onnx_form(model: Any) -> dict[str, str]:
    """The standard that an ONNX file is written in, the axes of its input that are free, whether it was slimmed."""
    own = next((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), 0)
    dims = model.graph.input[0].type.tensor_type.shape.dim if model.graph.input else []
    free = [d.dim_param or "unnamed" for d in dims if not d.HasField("dim_value")]
    said = {p.key: p.value for p in model.metadata_props}
    told = {SIMPLIFIED: said[SIMPLIFIED].lower()} if SIMPLIFIED in said else {}
    return {"opset": str(own), "ir_version": str(model.ir_version), "free_axes": ",".join(free) or "none", **told}


def openvino_facts(path: Path) -> dict[str, str]:
    """Weight types and quantisation nodes of an OpenVINO folder."""
    import openvino as ov

    model: Any = ov.Core().read_model(str(path / "model.xml"))
    names = {"f32": "f32", "f16": "f16", "i8": "i8", "u8": "i8"}
    elements: Counter[str] = Counter()
    nodes: Counter[str] = Counter()
    for op in model.get_ops():
        nodes[op.get_type_name()] += 1
        if op.get_type_name() == "Constant":
            kind, count = op.get_element_type().get_type_name(), 1
            for side in op.get_output_shape(0):
                count *= side
            if count >= SMALL and kind in names:
                elements[names[kind]] += count
    return shares_of(elements) | {
        "nodes": str(sum(nodes.values())),
        "quantize_nodes": str(nodes["FakeQuantize"]),
    }


def litert_facts(path: Path) -> dict[str, str]:
    """Weight types and quantisation nodes of a LiteRT file."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), experimental_preserve_all_tensors=False)
    names = {"float32": "f32", "float16": "f16", "int8": "i8", "uint8": "i8"}
    operations = list(interpreter._get_ops_details())
    made = {int(i) for op in operations for i in op["outputs"]}
    inputs = {int(item["index"]) for item in interpreter.get_input_details()}
    elements: Counter[str] = Counter()
    for tensor in interpreter.get_tensor_details():
        kind, count = tensor["dtype"].__name__, int(tensor["shape"].prod()) if len(tensor["shape"]) else 1
        if tensor["index"] not in made | inputs and count >= SMALL and kind in names:
            elements[names[kind]] += count
    nodes = Counter(op["op_name"] for op in operations if op["op_name"] != DELEGATE)
    left = undelegated(path)
    return shares_of(elements) | {
        "nodes": str(sum(nodes.values())),
        "quantize_nodes": str(nodes["QUANTIZE"]),
        "not_delegated": listed(left),
    }


def listed(operations: Counter[str]) -> str:
    """Operations with their numbers, in words."""
    return ", ".join(f"{count} {name}" for name, count in sorted(operations.items())) or "none"


def undelegated(path: Path) -> Counter[str]:
    """Operations of a LiteRT file that XNNPACK does not take: the reference kernels run them, one by one."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    operations = list(interpreter._get_ops_details())
    own = [op for op in operations if op["op_name"] != DELEGATE]
    made_by = {int(i): place for place, op in enumerate(own) for i in op["outputs"]}
    taken: set[int] = set()
    for delegate in (op for op in operations if op["op_name"] == DELEGATE):
        given = {int(i) for i in delegate["inputs"]}
        waiting = [int(i) for i in delegate["outputs"]]
        while waiting:  # all that lies between what goes into the delegate and what comes out
            place = made_by.get(waiting.pop())
            if place is not None and place not in taken:
                taken.add(place)
                waiting += [int(i) for i in own[place]["inputs"] if int(i) not in given]
    return Counter(op["op_name"] for place, op in enumerate(own) if place not in taken)


def torchscript_facts(module: Any) -> dict[str, str]:
    """Weight types of a traced module."""
    import torch

    names = {torch.float32: "f32", torch.float16: "f16", torch.qint8: "i8", torch.int8: "i8"}
    elements: Counter[str] = Counter()
    for tensor in module.state_dict().values():
        if tensor.numel() >= SMALL and tensor.dtype in names:
            elements[names[tensor.dtype]] += tensor.numel()
    return shares_of(elements)
