"""From a network's outputs to boxes in input px, scores and classes, by the layout that the file declares.

What doesn't fit is refused with its shape or value: scores outside 0..1, class ids that there are no names for, and
numbers per box that are neither box, score nor what the task adds (mask coefficients, key points, an angle).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from src.inference.nms import enclosing, suppress, suppress_rotated
from src.inference.types import UNDERSTOOD, VALIDATION, Float, LayoutError, Thresholds, says
from src.records.model_io import Output

MAX_CANDIDATES = 30_000
SLACK = 0.01  # by which 8-bit arithmetic may leave 0..1
Ids = NDArray[np.int64]
Decoded = tuple[Float, Float, Ids]  # boxes [n, 4] xyxy in input px, scores [n], classes [n], best first


def decode(
    outputs: Sequence[Float],
    output: Output,
    size: tuple[int, int],
    thresholds: Thresholds = VALIDATION,
    *,
    images: int | None = None,
    every: bool = False,
) -> list[Decoded]:
    """Boxes of each image of a batch.

    Args:
        outputs: all outputs of the network.
        output: what they mean.
        size: height and width of the input, px.
        thresholds: what counts as a detection.
        images: number of images, where the output doesn't tell (`indexed`); None = 1.
        every: look at all scores for a value outside 0..1, not only at those that count.

    Raises:
        LayoutError: the outputs are not what `output` says.
    """
    found = chosen(outputs, output)
    if output.layout == "pair":
        items: Iterator[Decoded] = (
            _pair(boxes, scores, output, size, thresholds, every) for boxes, scores in zip(found[0], found[1])
        )
    elif output.layout == "indexed":
        rows = found[0]
        items = (_listed(_of_image(rows, i), output, size, thresholds) for i in range(images or 1))
    elif output.layout == "listed":
        items = (_listed(rows, output, size, thresholds) for rows in found[0])
    else:
        columns = found[0] if output.layout == "columns" else found[0].transpose(0, 2, 1)
        items = (_dense(numbers, output, size, thresholds, every) for numbers in columns)
    return list(items)


def decode_one(raw: Float, output: Output, size: tuple[int, int], thresholds: Thresholds = VALIDATION) -> Decoded:
    """The same of a single output and its first image."""
    return decode([raw], output, size, thresholds)[0]


def chosen(outputs: Sequence[Float], output: Output) -> list[Float]:
    """The outputs that the layout is about, checked by their shapes.

    Raises:
        LayoutError: there are none of this shape.
    """
    if output.picks:
        if max(output.picks) >= len(outputs):
            raise LayoutError(f"the model has {len(outputs)} output(s), not {max(output.picks) + 1}")
        found = [outputs[i] for i in output.picks]
    else:
        rank = 2 if output.layout == "indexed" else 3
        found = [item for item in outputs if item.ndim == rank][: 2 if output.layout == "pair" else 1]
    shapes = ", ".join(str(list(item.shape)) for item in outputs)
    if output.layout == "pair":
        found = [item[:, :, 0] if item.ndim == 4 and item.shape[2:] == (1, 4) else item for item in found]
        whole = len(found) == 2 and all(item.ndim == 3 for item in found) and found[0].shape[2] == 4
        if not whole or found[0].shape[:2] != found[1].shape[:2]:
            raise LayoutError(f"the outputs have the shapes {shapes}, where a pair is wanted: {says(output)}")
        return found
    if len(found) != 1 or found[0].ndim != (2 if output.layout == "indexed" else 3):
        raise LayoutError(f"the output has the shape {shapes}, where the file says: {says(output)}; {UNDERSTOOD}")
    _check_width(found[0], output, shapes)
    return found


def _check_width(found: Float, output: Output, shapes: str) -> None:
    """Numbers per box: 4 and a score per class (or score and id), and what the task adds.

    Raises:
        LayoutError: the width is another.
    """
    width = found.shape[1] if output.layout == "columns" else found.shape[-1]
    if output.layout == "indexed":
        base, fits = "7", width == 7
    elif output.layout == "listed":
        base, fits = "6", _fits(width - 6, output.task)
    else:
        first = 5 if output.objectness else 4
        base = f"{first} + {output.classes or 'classes'}"
        extra = width - first - output.classes
        fits = _fits(extra, output.task) if output.classes else extra > 0
    if not fits:
        what = f"a {output.task or 'detect'} model's output"
        raise LayoutError(f"{what} has {width} numbers per box (shape {shapes}), which is not {base}; {UNDERSTOOD}")


def _fits(extra: int, task: str) -> bool:
    """Whether a task adds so many numbers to each box."""
    if task == "obb":
        return extra == 1
    return extra > 0 if task in ("segment", "pose") else extra == 0


def _dense(columns: Float, output: Output, size: tuple[int, int], thresholds: Thresholds, every: bool) -> Decoded:
    """One image's [numbers, anchors]. Scores are looked at in their own layout: most anchors end right here."""
    first = 5 if output.objectness else 4
    scores = columns[first : first + output.classes] if output.classes else columns[first:]
    if output.objectness:
        scores = scores * columns[4]
    if every:
        _check_scores(scores)
    values, anchors, classes = _candidates(scores, thresholds)
    boxes = columns[:4, anchors].T.astype(np.float32)
    return _kept(boxes, values, classes, columns[-1, anchors], output, size, thresholds)


def _pair(
    boxes: Float, numbers: Float, output: Output, size: tuple[int, int], thresholds: Thresholds, every: bool
) -> Decoded:
    """One image's boxes [anchors, 4] and scores or logits [anchors, classes]."""
    scores = class_scores(numbers.astype(np.float32), output)
    if every:
        _check_scores(scores)
    values, anchors, classes = _candidates(scores.T, thresholds)
    return _kept(boxes[anchors].astype(np.float32), values, classes, None, output, size, thresholds)


def class_scores(numbers: Float, output: Output) -> Float:
    """Scores [anchors, classes] of logits or scores that may have a class for "nothing".

    Raises:
        LayoutError: there are more or fewer than the layout says.
    """
    scores = _activated(numbers, output)
    scores = scores[:, 1:] if output.background == "first" else scores
    if output.background == "last" or (output.classes and scores.shape[1] == output.classes + 1):
        scores = scores[:, :-1]
    if output.classes and scores.shape[1] != output.classes:
        what = f"{numbers.shape[1]} scores per box"
        raise LayoutError(f"the output {numbers.shape} holds {what}, not {output.classes} classes")
    return scores


def _activated(numbers: Float, output: Output) -> Float:
    """Scores of logits [anchors, classes]."""
    if output.activation == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-np.clip(numbers, -80, 80))), np.float32)
    if output.activation == "softmax":
        raised = np.exp(numbers - numbers.max(axis=1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float32)
    return numbers


def _candidates(scores: Float, thresholds: Thresholds) -> tuple[Float, Ids, Ids]:
    """Scores, anchors and classes of what is above the threshold, best first, of scores [classes, anchors]."""
    if thresholds.multi_label and len(scores) > 1:
        classes, anchors = np.nonzero(scores > thresholds.conf)
        values = scores[classes, anchors]
    else:
        best = scores.max(axis=0)
        anchors = np.flatnonzero(best > thresholds.conf)
        values = best[anchors]
        classes = scores[:, anchors].argmax(axis=0)
    order = np.argsort(-values, kind="stable")[:MAX_CANDIDATES]
    if order.size and not values[order[0]] <= 1 + SLACK:
        raise LayoutError(_beyond(float(values[order[0]])))
    return values[order].astype(np.float32), anchors[order], classes[order].astype(np.int64)


def _check_scores(scores: Float) -> None:
    low, high = float(scores.min(initial=0.0)), float(scores.max(initial=0.0))
    if not (low >= -SLACK and high <= 1 + SLACK):  # NaN is neither
        raise LayoutError(_beyond(low if low < -SLACK else high))


def _beyond(value: float) -> str:
    return f"what should be a score is {value:.4g}, outside 0..1: the numbers mean something else"


def _kept(
    boxes: Float,
    values: Float,
    classes: Ids,
    angles: Float | None,
    output: Output,
    size: tuple[int, int],
    thresholds: Thresholds,
) -> Decoded:
    """Candidates [n, 4] as the layout has them, in px and suppressed."""
    boxes = in_pixels(boxes, output, size)
    if output.rotated and angles is not None:
        turned = np.concatenate([boxes, angles[:, None]], axis=1).astype(np.float32)
        keep = suppress_rotated(turned, classes, thresholds.iou, thresholds.max_det)
        return enclosing(turned[keep]), values[keep], classes[keep]
    corners = _corners(boxes) if output.box == "centre" else boxes
    if output.nms:
        keep = np.arange(min(len(values), thresholds.max_det))
    else:
        keep = suppress(corners, classes, thresholds.iou, thresholds.max_det)
    return corners[keep], values[keep], classes[keep]


def _listed(rows: Float, output: Output, size: tuple[int, int], thresholds: Thresholds) -> Decoded:
    """Rows [k, 6 or more] of a head that has chosen its detections by itself."""
    if not np.isfinite(rows[:, :6]).all():
        raise LayoutError("the output holds numbers that are not finite")
    rows = rows[rows[:, 4] > thresholds.conf]
    rows = rows[np.argsort(-rows[:, 4], kind="stable")][: thresholds.max_det].astype(np.float32)
    scores, ids = rows[:, 4], rows[:, 5]
    if len(rows) and scores[0] > 1 + SLACK:
        raise LayoutError(_beyond(float(scores[0])))
    _check_ids(ids, output.classes)
    boxes = in_pixels(rows[:, :4], output, size)
    if output.rotated:
        boxes = enclosing(np.concatenate([boxes, rows[:, -1:]], axis=1))
    elif output.box == "centre":
        boxes = _corners(boxes)
    return boxes, scores, ids.round().astype(np.int64)


def _check_ids(ids: Float, classes: int) -> None:
    """Refuse class ids that are not whole, negative, or that there is no name for."""
    bad = ids[(np.abs(ids - ids.round()) > SLACK) | (ids < -SLACK)]
    if bad.size:
        raise LayoutError(f"what should be a class id is {float(bad[0]):.4g}: the numbers mean something else")
    if classes and ids.size and ids.max() > classes - 1 + SLACK:
        raise LayoutError(f"the model answers with class {int(ids.max())}, but has names for {classes} classes only")


def _of_image(rows: Float, image: int) -> Float:
    """YOLOv7's rows [k, 7] of image, corners, class, score, as [k, 6] of corners, score, class."""
    own = rows[rows[:, 0].round() == image]
    return np.asarray(own[:, [1, 2, 3, 4, 6, 5]], np.float32)


def in_pixels(boxes: Float, output: Output, size: tuple[int, int]) -> Float:
    """Boxes [n, 4], whose first and third number lie along x, from 0..1 to px."""
    if output.units == "px":
        return boxes
    height, width = size
    return np.asarray(boxes * np.array([width, height, width, height], np.float32), np.float32)


def _corners(boxes: Float) -> Float:
    """Centre and size [n, 4] to corners [n, 4]."""
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
