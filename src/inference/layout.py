"""What a model's outputs mean, from what its file declares and the shapes it answers with; the rest is refused.

Exporters of Ultralytics write task, names, head and whether suppression is inside; then the shape has to agree. Files
of other makers are known by their shapes: the number of boxes follows from the input's size and the strides, 4 or 5
numbers stand before the scores, and a pair is told by its values. Where two readings fit, none is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from src.inference.decode import SLACK
from src.inference.types import UNDERSTOOD, Float, LayoutError
from src.records.model_io import Output, Resize, layout, resize_of

TASKS = ("detect", "segment", "pose", "obb")
STRIDES = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32), (16, 32))
ANCHORS = 3  # of each cell, in YOLOv5 and YOLOv7
SOFT_NAMES = ("dets", "labels")  # outputs of RF-DETR: sigmoids, of which the last is the background


@dataclass(frozen=True)
class Declared:
    """What a file says of itself; empty or False where it says nothing."""

    task: str = ""
    names: tuple[str, ...] = ()
    decoder: str = ""  # class of the head, as Ultralytics calls it
    nms: bool = False  # suppression is part of the file
    end2end: bool = False  # the head chooses by itself
    keypoints: int = 0  # numbers of a pose
    size: tuple[int, int] | None = None  # height, width of the input, px
    unit: bool = False  # coordinates in 0..1, as is the use of the format
    listed_unit: bool = False  # those of suppressed boxes too
    batch: int = 0  # images per call that it was made for


@dataclass(frozen=True)
class Tensor:
    """An output."""

    name: str
    shape: tuple[int, ...]  # -1 = any


@dataclass(frozen=True)
class Reading:
    """How a model is to be used: what its outputs mean, and how images are fitted into its input."""

    output: Output
    resize: Resize


def _reading(name: str, classes: int, task: str = "", picks: Sequence[int] = ()) -> Reading:
    return Reading(layout(name, classes, task, picks), resize_of(name))


Probe = Callable[[], list[Float]]  # runs the model once on noise
Values = Callable[[], Float]  # one output of it


def resolve(
    declared: Declared, tensors: Sequence[Tensor], size: tuple[int, int], probe: Probe | None, classes: int = 0
) -> Reading:
    """What the outputs mean.

    Args:
        declared: from the file.
        tensors: its outputs; empty where the format doesn't tell without running.
        size: height and width of the input, px.
        probe: runs the model once, where shapes or values have to be seen.
        classes: number of classes of the dataset, for files that declare no names.

    Raises:
        LayoutError: the outputs are none that is understood, or could mean several things.
    """
    if declared.task and declared.task not in TASKS:
        raise LayoutError(f"the file says that its task is {declared.task[:40]!r}; boxes come from {', '.join(TASKS)}")
    tensors = _seen(tensors, probe)
    if not tensors:  # engines of a device that is not here: what the file declares must do
        return _reading(_declared_layout(declared) or "dense", len(declared.names), declared.task)
    known = len(declared.names) or classes
    found = [(i, t) for i, t in enumerate(tensors) if _is_pairable(t)]
    if len(tensors) == 1 and len(tensors[0].shape) == 2 and tensors[0].shape[1] == 7:
        return _reading("indexed", known, declared.task, (0,))
    if len(found) == 2 and len(tensors) == 2:
        return _pair(found, known, probe)
    masks = [t for t in tensors if len(t.shape) == 4]
    if len(found) != 1 or len(tensors) > 1 + len(masks):
        raise LayoutError(f"the outputs have the shapes {_shapes(tensors)}; {UNDERSTOOD}")
    index, main = found[0]
    name, count = _single(declared, main, size, known, masks[0].shape if masks else (), _values_of(index, main, probe))
    return _reading(name, count, declared.task or ("segment" if masks else ""), (index,) if index else ())


def _seen(tensors: Sequence[Tensor], probe: Probe | None) -> Sequence[Tensor]:
    """Outputs with all sizes but the batch known, by running the model where the file doesn't tell."""
    told = tensors and all(len(t.shape) > 1 and min(t.shape[1:]) > 0 for t in tensors)
    if told or probe is None:
        return tensors
    answers = probe()
    names = [t.name for t in tensors] or [""] * len(answers)
    return [Tensor(name, item.shape) for name, item in zip(names, answers, strict=True)]


def _values_of(index: int, main: Tensor, probe: Probe | None) -> Values:
    """What an output holds on noise."""

    def values() -> Float:
        if probe is None:
            raise LayoutError(f"the output {list(main.shape)} can't be told without running the model")
        return probe()[index]

    return values


def _is_pairable(tensor: Tensor) -> bool:
    return len(tensor.shape) == 3 or (len(tensor.shape) == 4 and tensor.shape[2:] == (1, 4))


def _shapes(tensors: Sequence[Tensor]) -> str:
    return ", ".join(f"{t.name or 'output'} {list(t.shape)}" for t in tensors)


def _declared_layout(declared: Declared) -> str:
    """The layout where the file itself says so; "" where the shape has to tell."""
    if declared.decoder == "RTDETRDecoder":
        return "queries"
    if not (declared.nms or declared.end2end):
        return ""
    if declared.task == "obb":
        return "listed_rotated"
    return "end2end_unit" if declared.listed_unit else "end2end"


def _single(
    declared: Declared, main: Tensor, size: tuple[int, int], known: int, masks: tuple[int, ...], probe: Values
) -> tuple[str, int]:
    """Layout and number of classes of a single output [n, a, b]."""
    b = main.shape[2]
    name = _declared_layout(declared)
    if name == "queries" and known and b == 4 + known != 6:
        return "query_scores", known
    if name:
        wanted = 6 + _extra(declared, b - 6, masks)
        if b != wanted:
            raise LayoutError(
                f"the file says that its boxes are listed, but its output {list(main.shape)} has {b} numbers per box, "
                f"not {wanted}; {UNDERSTOOD}"
            )
        return name, known
    if known:
        return _by_width(declared, main, size, known, masks, probe), known
    return _by_count(declared, main, size, masks[1] if masks else 0, probe)


def _extra(declared: Declared, left: int, masks: tuple[int, ...]) -> int:
    """How many numbers the task adds to each box, of those that are left beside box and scores."""
    task = declared.task or ("segment" if masks else "")
    if task == "obb":
        return 1
    if task == "pose":
        return declared.keypoints or max(left, 1)
    if task == "segment":
        return next((side for side in (masks[1:2] + masks[3:4]) if side == left), max(left, 1) if not masks else 32)
    return 0


def _by_width(
    declared: Declared, main: Tensor, size: tuple[int, int], known: int, masks: tuple[int, ...], probe: Values
) -> str:
    """The reading whose width is box, scores and what the task adds; the number of boxes tells between several."""
    _, a, b = main.shape
    plain, more = box_counts(size)
    unit = "_unit" if declared.unit else ""
    four, five = 4 + known, 5 + known
    columns = a == four + _extra(declared, a - four, masks)
    if columns and (b in plain or declared.task):
        return "dense" + unit
    if b == four + _extra(declared, b - four, masks) and a in plain:
        return "rows" + unit
    if b == five + _extra(declared, b - five, masks) and a in more and not (b == 6 and _is_list(probe())):
        return "objectness" + unit
    if a == five + _extra(declared, a - five, masks) and b in more and not unit:
        return "objectness_columns"
    if columns and b > a:
        return "dense" + unit  # of strides that are not common
    if a not in plain and b in (6, four):
        return _by_values(probe(), known, main)
    what = f" and the task {declared.task}" if declared.task else ""
    raise LayoutError(
        f"the output {list(main.shape)} does not fit {known} classes{what}: neither side is 4 + {known} (or "
        f"5 + {known} with {ANCHORS} boxes per cell); {UNDERSTOOD}"
    )


def _by_values(rows: Float, known: int, main: Tensor) -> str:
    """The layout of rows [n, boxes, numbers] whose number says nothing, by what they hold on noise.

    Raises:
        LayoutError: they hold neither a list of detections nor boxes with scores.
    """
    unit = bool(np.abs(rows[..., :4]).max(initial=0.0) < 2)
    scores = rows[..., 4:]
    if rows.shape[2] == 6 and _is_list(rows) and _in(rows[..., 5], 0, (known or 10_000) - 1):
        ordered = float(np.mean((rows[..., 2] >= rows[..., 0]) & (rows[..., 3] >= rows[..., 1])))
        if ordered > 0.95:
            return "end2end_unit" if unit else "end2end"
        if unit:
            return "queries"
    if known and rows.shape[2] == 4 + known and _in(scores, 0, 1):
        return "query_scores" if unit else "rows"
    raise LayoutError(f"the output {list(main.shape)} holds neither detections nor boxes with scores; {UNDERSTOOD}")


def _is_list(rows: Float) -> bool:
    """Whether [n, boxes, 6] end in a score and a whole class id."""
    ids = rows[..., 5]
    return bool((np.abs(ids - ids.round()) < 1e-4).all()) and _in(ids, 0, 10_000) and _in(rows[..., 4], 0, 1)


def _in(values: Float, low: float, high: float) -> bool:
    return bool((values >= low - SLACK).all() and (values <= high + SLACK).all())


def _by_count(declared: Declared, main: Tensor, size: tuple[int, int], extra: int, probe: Values) -> tuple[str, int]:
    """Without names: the side that is a number of boxes tells the other, which then tells the classes."""
    _, a, b = main.shape
    plain, more = box_counts(size)
    unit = "_unit" if declared.unit else ""
    if declared.task in ("pose", "segment", "obb"):
        text = (
            f"the file of a {declared.task} model holds no class names by which to read its output {list(main.shape)}"
        )
        raise LayoutError(f"{text}; give names")
    if a in more and b - 5 - extra >= 1 and not (b == 6 and _is_list(probe())):
        return "objectness" + unit, b - 5 - extra
    if a - 4 - extra >= 1 and (b in plain or (a not in plain | more and b > a)):
        return "dense" + unit, a - 4 - extra
    if b == 6 and a not in plain:
        return _by_values(probe(), 0, main), 0
    raise LayoutError(
        f"the output {list(main.shape)} of a file without class names could mean several things; give names, or export "
        f"with metadata; {UNDERSTOOD}"
    )


def box_counts(size: tuple[int, int]) -> tuple[set[int], set[int]]:
    """Numbers of boxes that an input of this size gives by common strides: with one box a cell, and with three."""
    height, width = size
    cells = {sum(-(-height // s) * -(-width // s) for s in strides) for strides in STRIDES}
    return cells, {ANCHORS * count for count in cells}


def _pair(found: list[tuple[int, Tensor]], known: int, probe: Probe | None) -> Reading:
    """Boxes and scores as two outputs, told by what they hold on noise."""
    shapes = _shapes([t for _, t in found])
    if probe is None:
        raise LayoutError(f"the outputs {shapes} can't be told apart without running the model")
    if not known:
        raise LayoutError(f"the outputs {shapes} of a file without class names: give names, so that they can be told")
    answers = probe()
    wanted = [(i, t.name.lower(), answers[i]) for i, t in found]
    wanted = [(i, n, x[:, :, 0] if x.ndim == 4 else x) for i, n, x in wanted]
    orders = [(x, y) for x, y in (wanted, wanted[::-1]) if _is_boxes(x[2]) and y[2].shape[2] in (known, known + 1)]
    named = [pair for pair in orders if "box" in pair[0][1] or pair[0][1] == SOFT_NAMES[0]]
    orders = named or orders
    if len(orders) != 1 or orders[0][0][2].shape[:2] != orders[0][1][2].shape[:2]:
        raise LayoutError(
            f"the outputs {shapes} are no pair of boxes in 0..1 and scores of {known} classes (or {known} and a "
            f"background); {UNDERSTOOD}"
        )
    (box_index, _, boxes), (score_index, name, scores) = orders[0]
    return _reading(_pair_layout(boxes, scores, name, known), known, "", (box_index, score_index))


def _is_boxes(values: Float) -> bool:
    """Whether [n, boxes, 4] are coordinates in 0..1 (a little beyond at the borders)."""
    inside = values.shape[2] == 4 and bool(np.isfinite(values).all())
    return inside and float(np.mean((values > -0.5) & (values < 1.5))) > 0.95


def _pair_layout(boxes: Float, scores: Float, name: str, known: int) -> str:
    """The layout of a pair, from the values it holds."""
    ordered = float(np.mean((boxes[..., 2] >= boxes[..., 0]) & (boxes[..., 3] >= boxes[..., 1])))
    corners = ordered > 0.99
    if not corners and ordered > 0.8 and boxes.shape[1] >= 10:
        raise LayoutError(f"the boxes {list(boxes.shape)} are neither corners nor centre and size")
    background = scores.shape[2] == known + 1
    activated = bool((scores >= -SLACK).all() and (scores <= 1 + SLACK).all())
    if corners:
        plain = "ssd" if background else "corner_scores"
        logits = "ssd_logits" if background else "corner_logits"
        return plain if activated else logits
    if activated:
        return "detr_scores"
    return "detr" if background and name != SOFT_NAMES[1] else "detr_sigmoid"
