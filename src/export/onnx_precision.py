"""Lower the precision of a float32 ONNX file: half, dynamic INT8 and static INT8 with Q/DQ nodes.

Static INT8 quantises convolutions, and where these hold less than half of the weights, as in transformers, matrices of
stored weights too: a file that stays float for the most part doesn't deserve the name. What follows the last ones (box
decoding, sigmoid, the joined output) stays float: one scale over box coordinates (0 to the image side) and scores (0 to
1) would round every score to zero. The DFL's convolution holds the weights 0 to 15 that turn a distribution into a
distance; it stays float for the same reason.
"""

from __future__ import annotations

import difflib
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.common.errors import StageError, UserError
from src.export import layer_loss
from src.export.readback import MATRICES, MIN_INT8, SMALL, WEIGHTED
from src.export.request import Job
from src.inference import Input, fit, load_image

Float = NDArray[np.float32]


def convert(source: Path, target: Path, job: Job, shape: Input) -> None:
    """Write `source`, which takes `shape`, in the precision of the job."""
    logging.getLogger().addFilter(lambda record: "pre-processing before quantization" not in record.getMessage())
    if job.precision == "fp16":
        half(source, target)
    elif job.precision == "int8-dynamic":
        dynamic(source, target)
    else:
        per_channel = job.cfg.int8.weights == "channel"
        static(source, target, calibration_inputs(job, shape), per_channel=per_channel, kept=job.kept)
        layer_loss.save_losses(source, target, islice(calibration_inputs(job, shape), layer_loss.IMAGES))


def half(source: Path, target: Path) -> None:
    """Weights and arithmetic in float16; input and output stay float32, so that callers need not care."""
    import onnx
    from onnxruntime.transformers import float16

    model = float16.convert_float_to_float16(onnx.load(str(source)), keep_io_types=True)
    _sort(model.graph)
    onnx.checker.check_model(model)
    onnx.save(model, str(target))


def _sort(graph: Any) -> None:
    """Put nodes after those whose outputs they take, as the format demands; the converter appends its casts."""
    known = {t.name for t in graph.initializer} | {t.name for t in graph.input} | {""}
    waiting, ordered = list(graph.node), []
    while waiting:
        ready = [node for node in waiting if known.issuperset(node.input)]
        if not ready:
            raise StageError("export", "onnx/fp16", "the converter left a graph with a cycle or a missing input")
        ordered += ready
        known.update(name for node in ready for name in node.output)
        taken = {id(node) for node in ready}
        waiting = [node for node in waiting if id(node) not in taken]
    del graph.node[:]
    graph.node.extend(ordered)


def dynamic(source: Path, target: Path) -> None:
    """Weights in 8 bits; activation ranges found at run time, for every batch on its own.

    Weights are unsigned: ONNX Runtime's ConvInteger has no kernel for signed ones.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        str(source), str(target), weight_type=QuantType.QUInt8, nodes_to_exclude=unquantised(source), per_channel=False
    )


def static(
    source: Path,
    target: Path,
    inputs: Iterable[Float],
    *,
    symmetric: bool = False,
    per_channel: bool = True,
    kept: Sequence[str] = (),
) -> None:
    """Q/DQ nodes with ranges from calibration inputs [1, 3, h, w], weights signed.

    Args:
        source: float32 file.
        target: file to write.
        inputs: what to calibrate on.
        symmetric: activations signed, zero points 0, as TensorRT asks for. Otherwise unsigned (U8S8), which x86
            processors multiply fastest.
        per_channel: a scale for each output channel, or one for all weights of a layer.
        kept: names of layers that stay float.

    Raises:
        UserError: there is no layer of such a name.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    known = layers(source)
    left = checked(kept, known)
    quantize_static(
        str(source),
        str(target),
        _reader(inputs),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=list(WEIGHTED),
        nodes_to_quantize=[name for name in known if name not in left],
        per_channel=per_channel,
        reduce_range=not symmetric and not has_vnni(),
        activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        extra_options={
            "ActivationSymmetric": symmetric,
            "WeightSymmetric": True,
            # A matrix adds up in 32 bits and gives float: what follows (a sum, a norm, a softmax) is float anyway.
            "OpTypesToExcludeOutputQuantization": list(MATRICES),
        },
    )
    _keep_metadata(source, target)


def has_vnni(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor adds products of bytes without saturating; else weights must keep to seven bits."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "vnni" in text or "asimddp" in text


def layers(source: Path) -> list[str]:
    """Names of the layers that static INT8 rounds, from the input to the output: see the top of this module."""
    import onnx

    graph = onnx.load(str(source)).graph
    stored = {item.name: math.prod(item.dims) for item in graph.initializer}
    sizes = {node.name: stored.get(node.input[1], 0) for node in graph.node if node.op_type in WEIGHTED}
    held = sum(sizes[node.name] for node in graph.node if node.op_type == "Conv")
    kinds = ("Conv",) if held >= MIN_INT8 * sum(sizes.values()) else WEIGHTED
    left = set(_unquantised(graph))
    return [node.name for node in graph.node if node.op_type in kinds and node.name not in left]


def unquantised(source: Path) -> list[str]:
    """Layers that stay float in every INT8 file.

    Convolutions whose weights hold whole numbers 0, 1, 2, … (the DFL's), and products of what is no matrix of stored
    weights: of two activations, as in attention, where one may be constant (the first queries), with several axes; or
    D-FINE's sum over the bins of a distance, which is short.
    """
    import onnx

    return _unquantised(onnx.load(str(source)).graph)


def _unquantised(graph: Any) -> list[str]:
    weights = {item.name: item for item in graph.initializer}
    found = ((node, weights.get(node.input[1])) for node in graph.node if node.op_type in WEIGHTED)
    return [node.name for node, weight in found if _stays_float(node.op_type, weight)]


def _stays_float(kind: str, weight: Any) -> bool:
    """Whether an operator with these stored weights (or none) is never rounded."""
    import onnx

    if kind in MATRICES:
        return weight is None or len(weight.dims) != 2 or math.prod(weight.dims) < SMALL
    return weight is not None and counts_up(onnx.numpy_helper.to_array(weight))


def checked(kept: Sequence[str], known: Sequence[str]) -> Sequence[str]:
    """The names of `export.int8.keep`, which must be those of layers.

    Raises:
        UserError: one isn't; the message names the nearest.
    """
    for name in kept:
        if name not in known:
            near = difflib.get_close_matches(name, known, 3, 0.3) or list(known[:3])
            raise UserError(
                "export.int8.keep names a layer that is not there", value=name, remedy=f"such as: {', '.join(near)}"
            )
    return kept


def counts_up(weights: NDArray[Any]) -> bool:
    """Whether the weights count up from 0 in steps of 1."""
    values = np.asarray(weights).ravel()
    return len(values) > 1 and np.array_equal(values, np.arange(len(values)))


def calibration_inputs(job: Job, shape: Input) -> Iterator[Float]:
    """Network inputs [1, 3, h, w] of the calibration images.

    Args:
        job: with the images.
        shape: what the network takes: ranges are worth something only on images that are fitted in as later ones are.
    """
    for image in job.calibration_images():
        yield fit(load_image(image), shape)[0][None]


def _reader(inputs: Iterable[Float]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        """Feeds one input after the other."""

        def __init__(self) -> None:
            self._inputs = iter(inputs)

        def get_next(self) -> dict[str, Float] | None:
            """The next input, or None at the end."""
            x = next(self._inputs, None)
            return None if x is None else {"images": x}

    return Reader()


def _keep_metadata(source: Path, target: Path) -> None:
    """The quantiser drops what a reader has to know about the model."""
    import onnx

    before, after = onnx.load(str(source)), onnx.load(str(target))
    onnx.helper.set_model_props(after, {p.key: p.value for p in before.metadata_props})
    if not any(node.op_type == "QuantizeLinear" for node in after.graph.node):
        raise StageError("export", "onnx/int8", "the quantiser left no quantised node in the graph")
    onnx.save(after, str(target))
