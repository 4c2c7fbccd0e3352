"""From frames to detections: the shared detection path with the user's thresholds, classes and suppression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src import detect
from src.detect import Detections, Float, LetterboxTransform, Thresholds
from src.predict.suppress import Kind, agnostic, soft, take
from src.runtime import Session

MOST_CANDIDATES = 1000  # that soft suppression looks at
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Wanted:
    """What the user wants to see."""

    conf: float
    iou: float
    max_det: int
    nms: Kind
    classes: tuple[int, ...] | None  # ids; None = all


@dataclass(frozen=True)
class Input:
    """A frame as the network takes it."""

    x: Float  # [3, imgsz, imgsz]
    transform: LetterboxTransform


def prepare(image: Image, imgsz: int, *, stretch: bool) -> Input:
    """Letterbox a picture uint8 [h, w, 3] in OpenCV's order of colours (BGR)."""
    return Input(*detect.letterbox(image, imgsz, stretch=stretch, bgr=True))


class Predictor:
    """A session with what comes after it.

    Args:
        session: a loaded model.
        head: layout of its output.
        imgsz: side of its input, px.
        wanted: thresholds, classes and suppression.
    """

    def __init__(self, session: Session, head: detect.Head, imgsz: int, wanted: Wanted) -> None:
        self._session = session
        self._head: detect.Head = head
        self.imgsz = imgsz
        self.wanted = wanted
        own = wanted.nms == "class"
        self._thresholds = Thresholds(
            conf=wanted.conf,
            iou=wanted.iou if own else 1.0,  # nothing overlaps by more: suppression is done here
            max_det=wanted.max_det if own and wanted.classes is None else MOST_CANDIDATES,
            multi_label=False,
        )

    @property
    def stretch(self) -> bool:
        """Whether pictures are stretched to the square instead of letterboxed."""
        return self._head == "queries"

    def __call__(self, inputs: Sequence[Input]) -> list[Detections]:
        """Detections of each input, best score first, in px of its picture."""
        batch = np.ascontiguousarray(inputs[0].x[None]) if len(inputs) == 1 else np.stack([i.x for i in inputs])
        raw = self._session.run(batch)
        decoded = detect.decode(raw, self.imgsz, self._thresholds, head=self._head)
        found = (detect.to_detections(rows, i.transform) for rows, i in zip(decoded, inputs, strict=True))
        return [self._suppress(item) for item in found]

    def _suppress(self, found: Detections) -> Detections:
        wanted = self.wanted
        if wanted.classes is not None:
            found = take(found, np.isin(found.classes, wanted.classes))
        if wanted.nms == "agnostic":
            return agnostic(found, wanted.iou, wanted.max_det)
        if wanted.nms == "soft":
            return soft(found, wanted.conf, wanted.max_det)
        return take(found, np.arange(min(len(found.scores), wanted.max_det)))
