"""Raw outputs in one form, so that files of different layouts can be compared number by number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from src.inference.decode import chosen, class_scores, in_pixels
from src.inference.types import Float
from src.records.model_io import Output


def comparable(outputs: Sequence[Float], output: Output, size: tuple[int, int]) -> Float | None:
    """One image's output as [4 + classes, boxes]: box in input px, then a score for each class.

    Returns:
        None where the layout has no such form: lists whose boxes were chosen by suppression, and tasks beyond boxes.
    """
    if output.queries:
        return _of_queries(outputs, output, size)
    if output.layout not in ("columns", "rows") or output.objectness or output.task not in ("", "detect"):
        return None
    raw = next(item for item in outputs if item.ndim == 3)[0]
    return _in_pixels(raw.T if output.layout == "rows" else raw, output, size)


def _of_queries(outputs: Sequence[Float], output: Output, size: tuple[int, int]) -> Float | None:
    """A query's box and its scores; of a list each row is one, with a score for its own class."""
    found = [item[0] for item in chosen(outputs, output)]
    if output.layout == "pair":
        rows = np.concatenate([found[0], class_scores(found[1].astype(np.float32), output)], axis=1)
    elif output.layout == "listed":
        if not output.classes:
            return None
        rows = np.zeros((len(found[0]), 4 + output.classes), np.float32)
        rows[:, :4] = found[0][:, :4]
        rows[np.arange(len(rows)), 4 + found[0][:, 5].round().astype(int).clip(0, output.classes - 1)] = found[0][:, 4]
    else:
        rows = found[0].T if output.layout == "columns" else found[0]
    return _in_pixels(rows.T, output, size)


def _in_pixels(columns: Float, output: Output, size: tuple[int, int]) -> Float:
    return np.concatenate([in_pixels(columns[:4].T, output, size).T, columns[4:]])
