"""The script `detect.py` beside an artifact: the same boxes as `src.predict`, with numpy and the runtime alone.

It is written from what the artifact's record says of input, output and classes, so that it holds just what this file
needs. Its parts come from `src.export.standalone`; what differs between outputs is put together here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from src.common.whole_files import write_text
from src.export import standalone
from src.inference import spec_of
from src.records.model_io import Input, Output
from src.records.schema import Artifact

NAME = "detect.py"

SESSIONS = {
    "onnx": (
        "onnxruntime",
        """
import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it reports its use otherwise
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads, options.log_severity_level = threads, 3
session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
return lambda x: session.run(None, {name: x})
""",
    ),
    "openvino": (
        "openvino",
        """
import openvino

core = openvino.Core()
model = core.read_model(str(next(path.glob("*.xml")) if path.is_dir() else path))
model.reshape([1, 3, HEIGHT, WIDTH])
half = HALF and "FP16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f16" if half else "f32"}
if threads:
    hints["INFERENCE_NUM_THREADS"] = threads
request = core.compile_model(model, "CPU", hints).create_infer_request()
return lambda x: [np.array(v, np.float32) for v in request.infer({0: x}).values()]
""",
    ),
    "litert": (
        "ai-edge-litert",
        """
from ai_edge_litert.interpreter import Interpreter

engine = Interpreter(model_path=str(path), num_threads=threads or None)
engine.allocate_tensors()
source = engine.get_input_details()[0]

def run(x):
    if source["shape"][-1] == 3:  # channels last
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    engine.set_tensor(source["index"], x)
    engine.invoke()
    return [engine.get_tensor(item["index"]) for item in engine.get_output_details()]

return run
""",
    ),
    "torchscript": (
        "torch",
        """
import torch

if threads:
    torch.set_num_threads(threads)
module = torch.jit.load(str(path), map_location="cpu").eval()

def run(x):
    with torch.inference_mode():
        answer = module(torch.from_numpy(x))
    return [item.float().numpy() for item in (answer if isinstance(answer, (tuple, list)) else [answer])]

return run
""",
    ),
    "savedmodel": (
        "tensorflow",
        """
import tensorflow

model = tensorflow.saved_model.load(str(path))
signature = model.signatures["serving_default"]
(name, source), = signature.structured_input_signature[1].items()

def run(x):
    assert model is not None  # the signature alone does not keep its variables alive
    x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if source.shape[-1] == 3 else x
    return [item.numpy() for item in signature(**{name: tensorflow.constant(x)}).values()]

return run
""",
    ),
}
WHY_NOT = {
    "pytorch": "a checkpoint needs the library of its family: use `python -m src.predict model=FILE`",
    "tensorrt": "an engine needs a binding of CUDA beside numpy: use `python -m src.predict model=FILE device=cuda`",
}


def write(folder: Path, artifact: Artifact) -> Path | None:
    """Write the script of an artifact into a folder; None where its format can't be run by so little."""
    if artifact.format not in SESSIONS:
        return None
    write_text(folder / NAME, script(artifact))
    return folder / NAME


def script(artifact: Artifact) -> str:
    """The text of an artifact's script.

    Raises:
        KeyError: its format has none, see `WHY_NOT`.
    """
    package, session = SESSIONS[artifact.format]
    fitted, output = spec_of(artifact)
    parts = [
        _head(artifact, package, fitted),
        _source(standalone.read_picture),
        _source(standalone.resize),
        _source(standalone.neighbours),
        _source(getattr(standalone, f"place_{fitted.resize}"), "place"),
        _prepare(fitted),
        _load(session),
        *_decoding(output),
        _detector(fitted),
        _source(standalone.name_of),
        _source(standalone.leave),
        _source(standalone.main),
        'if __name__ == "__main__":\n    main()\n',
    ]
    return "\n\n\n".join(part.strip("\n") for part in parts) + "\n"


def _head(artifact: Artifact, package: str, fitted: Input) -> str:
    file = Path(artifact.path).name
    shape = f"{fitted.width} x {fitted.height} px"
    half = f"HALF = {artifact.precision == 'fp16'}\n" if artifact.format == "openvino" else ""
    return f'''"""Detects objects with {file} ({artifact.label}, {shape}), by numpy and {package} alone.

    pip install numpy {package}
    python {NAME} PICTURE...

Pictures are read by OpenCV or Pillow, whichever is there; .npy files of uint8 [height, width, 3] need neither.
Written by detsweep for the file with sha256 {artifact.sha256}.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import NoReturn

import numpy as np

FILE = Path(__file__).resolve().with_name({file!r})
HEIGHT, WIDTH = {fitted.height}, {fitted.width}  # of the network's input, px
{half}NAMES = {_listed(artifact.names)}  # of the classes, by their number'''


def _listed(names: list[str]) -> str:
    """Names as a list in Python, a name a line where they are many."""
    short = repr(names)
    return short if len(short) <= 100 else "[\n" + "".join(f"    {name!r},\n" for name in names) + "]"


def _source(function: Callable[..., Any], name: str = "") -> str:
    """The text of a function of `standalone`, under another name where one is given."""
    text = inspect.getsource(function)
    return text.replace(f"def {function.__name__}(", f"def {name}(", 1) if name else text


def _prepare(fitted: Input) -> str:
    lines = [
        "height, width = image.shape[:2]",
        "wide, high, left, top, grey = place(width, height)",
        "if (wide, high) != (width, height):",
        "    image = resize(image, wide, high)",
        "canvas = np.full((HEIGHT, WIDTH, 3), grey, np.uint8)",
        "canvas[top : top + high, left : left + wide] = image",
        f"planes = canvas.transpose(2, 0, 1){'[::-1]' if fitted.colour == 'bgr' else ''}",
        "x = planes.astype(np.float32) * np.float32(1 / 255)",
    ]
    if any(fitted.mean) or any(value != 1 for value in fitted.std):
        lines.append(f"x -= np.array({list(fitted.mean)}, np.float32)[:, None, None]")
        lines.append(f"x /= np.array({list(fitted.std)}, np.float32)[:, None, None]")
    lines.append("gain = wide / width, high / height")
    lines.append("return np.ascontiguousarray(x[None]), gain, (left, top)")
    doc = "A picture as the network takes it [1, 3, HEIGHT, WIDTH], its gain and its place (x, y)."
    return _function("prepare(image: np.ndarray)", "tuple", doc, lines)


def _load(session: str) -> str:
    doc = "The network as a function from inputs to all of its outputs."
    return _function("load(path: Path, threads: int)", "", doc, session.strip("\n").splitlines())


def _function(signature: str, returns: str, doc: str, lines: list[str]) -> str:
    body = "\n".join(f"    {line}" if line else "" for line in lines)
    arrow = f" -> {returns}" if returns else ""
    return f'def {signature}{arrow}:\n    """{doc}"""\n{body}'


def _decoding(output: Output) -> list[str]:
    """The functions that turn outputs into boxes."""
    lines, parts = {"listed": _rows, "indexed": _rows, "pair": _pair}.get(output.layout, _dense)(output)
    doc = "Corners in px of the input, scores and classes, best first."
    signature = "decode(outputs: list, conf: float, iou: float, most: int)"
    return [*(_source(part) for part in parts), _function(signature, "tuple", doc, lines)]


def _pick(output: Output, index: int) -> str:
    """The output that counts: by its place, else the first with as many axes as the layout has."""
    if output.picks:
        return f"outputs[{output.picks[index]}]"
    rank = 2 if output.layout == "indexed" else 3
    return f"[item for item in outputs if item.ndim == {rank}][{index}]"


def _dense(output: Output) -> tuple[list[str], list[Any]]:
    """[n, numbers, boxes] or its transpose: four numbers of the box, then the scores."""
    first = 5 if output.objectness else 4
    last = first + output.classes if output.classes else ""
    lines = [
        f"numbers = {_pick(output, 0)}[0].astype(np.float32){'' if output.layout == 'columns' else '.T'}",
        f"scores = numbers[{first}:{last}]{' * numbers[4]' if output.objectness else ''}",
        "scores, chosen, classes = best_of(scores, conf)",
        "boxes = numbers[:4, chosen].T",
    ]
    if output.rotated:
        lines.append("angles = numbers[-1, chosen]")
    ending, parts = _ending(output)
    return [*lines, *ending], [standalone.best_of, *parts]


def _pair(output: Output) -> tuple[list[str], list[Any]]:
    """Boxes [n, boxes, 4] beside scores or logits [n, boxes, classes]."""
    lines = [f"numbers = {_pick(output, 1)}[0].astype(np.float32)"]
    if output.activation == "sigmoid":
        lines.append("numbers = 1 / (1 + np.exp(-numbers.clip(-80, 80)))")
    elif output.activation == "softmax":
        lines.append("numbers = np.exp(numbers - numbers.max(axis=1, keepdims=True))")
        lines.append("numbers = numbers / numbers.sum(axis=1, keepdims=True)")
    if output.background == "first":
        lines.append("numbers = numbers[:, 1:]  # the first class means nothing is there")
    if output.background == "last":
        lines.append("numbers = numbers[:, :-1]  # the last class means nothing is there")
    elif output.classes:
        lines.append(f"numbers = numbers[:, :{output.classes}]")
    lines += [
        "scores, chosen, classes = best_of(numbers.T, conf)",
        f"boxes = {_pick(output, 0)}[0].reshape(-1, 4)[chosen].astype(np.float32)",
    ]
    ending, parts = _ending(output)
    return [*lines, *ending], [standalone.best_of, *parts]


def _ending(output: Output) -> tuple[list[str], list[Any]]:
    """From boxes as the layout has them to those that stay."""
    lines = _in_pixels(output)
    parts: list[Any] = []
    if output.rotated:
        lines += [
            "turned = np.concatenate([boxes, angles[:, None]], axis=1)",
            "keep = suppress_turned(turned, classes, iou, most)",
            "return upright(turned[keep]), scores[keep], classes[keep]",
        ]
        return lines, [standalone.suppress_turned, standalone.upright]
    if output.box == "centre":
        lines.append("boxes = corners_of(boxes)")
        parts.append(standalone.corners_of)
    if output.nms:
        lines.append("return boxes[:most], scores[:most], classes[:most]")
    else:
        lines.append("keep = suppress(boxes, classes, iou, most)")
        lines.append("return boxes[keep], scores[keep], classes[keep]")
        parts.append(standalone.suppress)
    return lines, parts


def _in_pixels(output: Output) -> list[str]:
    return [] if output.units == "px" else ["boxes = boxes * np.array([WIDTH, HEIGHT, WIDTH, HEIGHT], np.float32)"]


def _rows(output: Output) -> tuple[list[str], list[Any]]:
    """Rows of box, score and class, chosen by the network itself."""
    pick = _pick(output, 0)
    lines = [f"rows = {pick if output.layout == 'indexed' else pick + '[0]'}.astype(np.float32)"]
    if output.layout == "indexed":  # image, corners, class, score
        lines.append("rows = rows[rows[:, 0].round() == 0][:, [1, 2, 3, 4, 6, 5]]")
    lines += [
        "rows = rows[rows[:, 4] > conf]",
        'rows = rows[np.argsort(-rows[:, 4], kind="stable")][:most]',
        "boxes, scores, classes = rows[:, :4], rows[:, 4], rows[:, 5].round().astype(np.int64)",
        *_in_pixels(output),
    ]
    parts: list[Any] = []
    if output.rotated:
        lines.append("boxes = upright(np.concatenate([boxes, rows[:, -1:]], axis=1))")
        parts.append(standalone.upright)
    elif output.box == "centre":
        lines.append("boxes = corners_of(boxes)")
        parts.append(standalone.corners_of)
    return [*lines, "return boxes, scores, classes"], parts


def _detector(fitted: Input) -> str:
    repeat = f"np.repeat(x, {fitted.batch}, axis=0)" if fitted.batch > 1 else "x"
    return f'''class Detector:
    """Pictures uint8 [height, width, 3], red first, to corners in px of the picture, scores and classes."""

    def __init__(self, path: Path = FILE, threads: int = 0) -> None:
        self.run = load(path, threads)

    def __call__(self, image: np.ndarray, conf: float = 0.25, iou: float = 0.7, most: int = 300) -> tuple:
        """Boxes [n, 4], scores [n] and classes [n], best first."""
        x, gain, place_of = prepare(image)
        boxes, scores, classes = decode(self.run({repeat}), conf, iou, most)
        boxes = (boxes - np.array(place_of * 2, np.float32)) / np.array(gain * 2, np.float32)
        height, width = image.shape[:2]
        return boxes.clip(0, [width, height, width, height]), scores, classes'''
