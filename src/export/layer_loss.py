"""Where static INT8 loses: the noise that quantisation adds to each layer, measured on images.

Noise is given as the ratio of signal to quantisation noise (SQNR), 10 log10(sum y^2 / sum (y - y_int8)^2), in dB: 20 dB
is an error of a tenth, 40 dB of a hundredth. It is measured twice for each layer. `alone`: its input and weights
rounded, everything before it float; that is the layer's own fault, and what layers are ranked by. `here`: in the INT8
network, with all that has gathered on the way.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.common.whole_files import write_text
from src.export.readback import WEIGHTED
from src.records.parsing import parse
from src.records.schema import LayerLoss

FILE = "layers.json"
IMAGES = 8  # the order of layers settles with a few
NO_NOISE = 99.0  # dB, where nothing was lost
ALONE = "alone/"

Float = NDArray[np.float32]


def save_losses(source: Path, quantised: Path, inputs: Iterable[Float]) -> Path:
    """Measure the layers of a Q/DQ file against its float32 source and keep them beside it, worst first."""
    rows = [asdict(loss) for loss in layer_losses(source, quantised, inputs)]
    path = quantised.with_name(FILE)
    write_text(path, json.dumps(rows, indent=1) + "\n")
    return path


def losses_beside(artifact: Path) -> list[LayerLoss]:
    """What was measured of an artifact's layers when it was made; empty where nothing was."""
    path = artifact.parent / FILE
    if not path.is_file():
        return []
    return parse(list[LayerLoss], json.loads(path.read_text(encoding="utf-8")), str(path))


def layer_losses(source: Path, quantised: Path, inputs: Iterable[Float]) -> list[LayerLoss]:
    """The quantised layers of a Q/DQ file, the one with the most noise of its own first.

    Args:
        source: float32 ONNX file.
        quantised: the same network with Q/DQ nodes.
        inputs: [1, 3, h, w] each.
    """
    import onnx

    plain, rounded = onnx.load(str(source)), onnx.load(str(quantised))
    layers = _quantised(rounded.graph)
    outputs = {node.name: node.output[0] for node in plain.graph.node if node.name in layers}
    layers = {name: node for name, node in layers.items() if name in outputs}
    if not layers:
        return []
    _add_alone(plain.graph, rounded.graph, layers)
    names = list(layers)
    first = _runner(plain, [*(outputs[n] for n in names), *(ALONE + n for n in names)])
    second = _runner(rounded, [layers[n].output[0] for n in names])
    signal, alone, here = (np.zeros(len(names)) for _ in range(3))
    for x in inputs:
        found, after = first(x), second(x)
        for i, expected in enumerate(found[: len(names)]):
            signal[i] += _power(expected)
            alone[i] += _power(expected - found[len(names) + i])
            here[i] += _power(expected - after[i])
    weights = _weights(plain.graph, layers)
    losses = [
        LayerLoss(name, _decibels(signal[i], alone[i]), _decibels(signal[i], here[i]), weights[name])
        for i, name in enumerate(names)
    ]
    return sorted(losses, key=lambda loss: loss.alone_db)


def _power(values: Float) -> float:
    return float(np.square(values, dtype=np.float64).sum())


def _decibels(signal: float, noise: float) -> float:
    if noise <= 0 or signal <= 0:
        return NO_NOISE
    return round(min(10 * math.log10(signal / noise), NO_NOISE), 2)


def _quantised(graph: Any) -> dict[str, Any]:
    """Layers whose input and weights come out of DequantizeLinear, by name."""
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    return {
        node.name: node
        for node in graph.node
        if node.op_type in WEIGHTED and all(made_by.get(name) == "DequantizeLinear" for name in node.input[:2])
    }


def _weights(graph: Any, layers: dict[str, Any]) -> dict[str, int]:
    """Number of weights of each layer."""
    sizes = {tensor.name: int(np.prod(tensor.dims)) for tensor in graph.initializer}
    return {node.name: sizes.get(node.input[1], 0) for node in graph.node if node.name in layers}


def _add_alone(plain: Any, rounded: Any, layers: dict[str, Any]) -> None:
    """Beside each float layer, put the same one with rounded input and weights, fed by the float network."""
    import onnx

    made_by = {output: node for node in rounded.node for output in node.output}
    values = {tensor.name: tensor for tensor in rounded.initializer}
    taken: set[str] = set()

    def copied(node: Any, feed: str | None, output: str) -> str:
        """A copy of a Q or DQ node that is fed by `feed` or by a stored tensor; its scale and zero point come along."""
        new = onnx.NodeProto()
        new.CopyFrom(node)
        new.name, new.output[0] = ALONE + node.name + output, output
        for i, name in enumerate(node.input):
            if i == 0 and feed is not None:
                new.input[0] = feed
            elif name in values:
                new.input[i] = ALONE + name
                if name not in taken:
                    taken.add(name)
                    tensor = plain.initializer.add()
                    tensor.CopyFrom(values[name])
                    tensor.name = ALONE + name
        plain.node.append(new)
        return output

    for node in [node for node in plain.node if node.name in layers]:
        own, parts = layers[node.name], []
        for i, name in enumerate(own.input):
            unround, output = made_by.get(name), f"{ALONE}{node.name}/{i}"
            if unround is None or unround.op_type != "DequantizeLinear":
                parts.append(node.input[i])
            elif unround.input[0] in values:  # weights and biases are stored rounded
                parts.append(copied(unround, None, output))
            else:
                bits = copied(made_by[unround.input[0]], node.input[i], f"{output}/bits")
                parts.append(copied(unround, bits, output))
        new = onnx.NodeProto()
        new.CopyFrom(node)
        new.name, new.output[0] = ALONE + node.name, ALONE + node.name
        del new.input[:]
        new.input.extend(parts)
        plain.node.append(new)


def _runner(model: Any, names: list[str]) -> Any:
    """A function from an input to the named tensors of a graph."""
    import onnx
    import onnxruntime as ort

    known = {value.name for value in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(names) if name not in known)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0].name
    return lambda x: session.run(names, {source: x})
