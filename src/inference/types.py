"""What passes through the detection path: thresholds, detections, and what a model's input and output look like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True)
class Prepared:
    """An image as the network takes it."""

    x: Float  # [3, h, w] in 0..1, RGB
    transform: LetterboxTransform


@dataclass(frozen=True)
class Input:
    """What a model takes."""

    height: int  # px
    width: int
    stretch: bool = False  # both sides are made to fit, instead of letterboxed
    batch: int = 0  # images per call that the file insists on; 0 = any number

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, px."""
        return self.height, self.width


@dataclass(frozen=True)
class Layout:
    """How numbers stand in an output.

    `axis` says where a box's numbers are: "columns" [n, numbers, boxes], "rows" [n, boxes, numbers], "listed" the same
    with score and class id in place of a score per class, "indexed" [boxes, 7] with the image's index in front, "pair"
    two outputs [n, boxes, 4] and [n, boxes, classes].
    """

    axis: Literal["columns", "rows", "listed", "indexed", "pair"]
    box: Literal["centre", "corners"] = "centre"  # centre and size, or two corners
    unit: bool = False  # coordinates in 0..1 of the input, else in its px
    objectness: bool = False  # a score of its own between box and classes, which multiplies theirs
    activation: Literal["", "sigmoid", "softmax"] = ""  # what turns the numbers into scores
    background: Literal["", "first", "last"] = ""  # a class that means nothing is there
    suppressed: bool = False  # no suppression is wanted: the network chose by itself
    stretch: bool = False  # such models are trained on stretched images
    says: str = ""  # for messages


LAYOUTS: dict[str, Layout] = {
    "dense": Layout("columns", says="[n, 4 + classes, boxes], centre and size in px"),
    "dense_unit": Layout("columns", unit=True, says="[n, 4 + classes, boxes], centre and size in 0..1"),
    "rows": Layout("rows", says="[n, boxes, 4 + classes], centre and size in px"),
    "rows_unit": Layout("rows", unit=True, says="[n, boxes, 4 + classes], centre and size in 0..1"),
    "objectness": Layout("rows", objectness=True, says="[n, boxes, 5 + classes] with objectness (YOLOv5, YOLOv7)"),
    "objectness_unit": Layout("rows", unit=True, objectness=True, says="the same in 0..1"),
    "objectness_columns": Layout("columns", objectness=True, says="[n, 5 + classes, boxes] with objectness"),
    "end2end": Layout("listed", "corners", suppressed=True, says="[n, boxes, 6]: corners in px, score, class"),
    "end2end_unit": Layout("listed", "corners", unit=True, suppressed=True, says="the same in 0..1"),
    "listed_rotated": Layout("listed", suppressed=True, says="[n, boxes, 7]: centre, size, score, class, angle"),
    "indexed": Layout("indexed", "corners", suppressed=True, says="[boxes, 7]: image, corners, class, score (YOLOv7)"),
    "queries": Layout(
        "listed", unit=True, suppressed=True, stretch=True, says="[n, boxes, 6]: centre, size in 0..1, score, class"
    ),
    "query_scores": Layout(
        "rows", unit=True, suppressed=True, stretch=True, says="[n, boxes, 4 + classes] of RT-DETR, in 0..1"
    ),
    "detr": Layout(
        "pair", unit=True, activation="softmax", background="last", suppressed=True, stretch=True,
        says="DETR's pair: boxes [n, boxes, 4], centre and size in 0..1, and logits [n, boxes, classes + 1]",
    ),
    "detr_sigmoid": Layout(
        "pair", unit=True, activation="sigmoid", suppressed=True, stretch=True,
        says="boxes [n, boxes, 4], centre and size in 0..1, and logits [n, boxes, classes]",
    ),
    "detr_scores": Layout("pair", unit=True, suppressed=True, stretch=True, says="the same with scores"),
    "ssd": Layout(
        "pair", "corners", unit=True, background="first", stretch=True,
        says="SSD's pair: boxes [n, boxes, 4], corners in 0..1, and scores [n, boxes, classes + 1]",
    ),
    "ssd_logits": Layout(
        "pair", "corners", unit=True, activation="softmax", background="first", stretch=True,
        says="the same with logits",
    ),
    "corner_scores": Layout(
        "pair", "corners", unit=True, stretch=True, says="boxes [n, boxes, 4] in 0..1, scores [n, boxes, classes]"
    ),
    "corner_logits": Layout(
        "pair", "corners", unit=True, activation="sigmoid", stretch=True, says="the same with logits of a sigmoid"
    ),
}  # fmt: skip
UNDERSTOOD = (
    "what is understood: [n, 4 + classes, boxes] and its transpose, [n, boxes, 5 + classes] with objectness, "
    "[n, boxes, 6] of box, score and class, and pairs of boxes [n, boxes, 4] and scores or logits"
)


@dataclass(frozen=True)
class Output:
    """What a model answers with."""

    layout: str = "dense"  # a key of LAYOUTS
    classes: int = 0  # 0 = as many as the width says
    task: str = ""  # detect, segment, pose or obb; numbers beyond box and scores are told apart by it
    picks: tuple[int, ...] = ()  # which outputs count, boxes first; empty = the first that fits

    @property
    def form(self) -> Layout:
        """The layout in detail.

        Raises:
            LayoutError: there is none of this name.
        """
        found = LAYOUTS.get(self.layout)
        if found is None:
            raise LayoutError(f"the layout {self.layout!r} is not known; one of: {', '.join(LAYOUTS)}")
        return found

    @property
    def rotated(self) -> bool:
        """Whether each box has an angle, as its last number."""
        return self.task == "obb"
