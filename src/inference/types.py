"""What passes through the detection path: thresholds, prepared images and detections."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.records.model_io import Output

Float = NDArray[np.float32]


class LayoutError(ValueError):
    """An output is not what its layout says; the message tells the shape or the value, the caller names the file."""


@dataclass(frozen=True)
class Thresholds:
    """What becomes a detection."""

    conf: float = 0.001  # lowest score
    iou: float = 0.7  # boxes of one class that overlap more are one
    max_det: int = 300  # per image
    multi_label: bool = True  # a box may carry several classes


# Those of Ultralytics' validation and predictor.
VALIDATION = Thresholds()
DEPLOYMENT = Thresholds(conf=0.25, multi_label=False)


@dataclass(frozen=True)
class LetterboxTransform:
    """How an image was placed in the input."""

    gain: tuple[float, float]  # input px per image px, x and y
    pad: tuple[float, float]  # left, top, in input px
    shape: tuple[int, int]  # height, width of the image

    def to_image(self, boxes: Float) -> Float:
        """Boxes [n, 4] xyxy from input px to image px, clipped to the image."""
        out = (boxes - np.array(self.pad * 2, np.float32)) / np.array(self.gain * 2, np.float32)
        height, width = self.shape
        return np.clip(out, 0, np.array([width, height, width, height], np.float32)).astype(np.float32)


@dataclass(frozen=True)
class Detections:
    """Detections of one image, best score first."""

    boxes: Float  # [n, 4] xyxy, px of the original image
    scores: Float  # [n]
    classes: NDArray[np.int64]  # [n]

    def rows(self) -> Iterator[tuple[list[float], float, int]]:
        """Corners, score and class of each."""
        return zip(self.boxes.tolist(), self.scores.tolist(), self.classes.tolist(), strict=True)


@dataclass(frozen=True)
class Prepared:
    """An image as the network takes it."""

    x: Float  # [3, h, w] as the model's `Input` says
    transform: LetterboxTransform


UNDERSTOOD = (
    "what is understood: [n, 4 + classes, boxes] and its transpose, [n, boxes, 5 + classes] with objectness, "
    "[n, boxes, 6] of box, score and class, and pairs of boxes [n, boxes, 4] and scores or logits"
)


def says(output: Output) -> str:
    """An output in words, for messages."""
    first = 5 if output.objectness else 4
    numbers = {
        "columns": f"[n, {first} + classes, boxes]",
        "rows": f"[n, boxes, {first} + classes]",
        "listed": "[n, boxes, 6] of box, score and class",
        "indexed": "[boxes, 7] of image, box, class and score",
        "pair": f"boxes [n, boxes, 4] and {'logits' if output.activation else 'scores'} [n, boxes, classes]",
    }[output.layout]
    box = "centre and size" if output.box == "centre" else "corners"
    return f"{numbers}, {box} in {'px' if output.units == 'px' else '0..1'}"
