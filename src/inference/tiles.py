"""Large pictures in tiles: an object that is a few px of the scaled-down picture is many px of a tile.

A picture is cut into overlapping windows, each goes through the detection path as a picture of its own, and so does the
whole, where large objects lie. Boxes are moved back and merged: an object in the overlap of two tiles is found twice.
Tiles are prepared a call at a time, so that a picture of 400 tiles takes the memory of a few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from src.common.errors import UserError
from src.inference.detector import Detector
from src.inference.nms import suppress
from src.inference.types import Detections
from src.records.tiling import Tiling

Image = NDArray[np.uint8]
Corner = tuple[int, int]  # left, top, px
Lap = Callable[[str], None]


def starts(length: int, tiling: Tiling) -> list[int]:
    """Where tiles begin along a side of `length` px; the last one ends with the picture."""
    if length <= tiling.size:
        return [0]
    step = max(1, round(tiling.size * (1 - tiling.overlap)))
    found = list(range(0, length - tiling.size, step))
    return [*found, length - tiling.size]


def corners(height: int, width: int, tiling: Tiling) -> list[Corner]:
    """Upper left corners of the tiles of a picture; none where it is no larger than one."""
    found = [(x, y) for y in starts(height, tiling) for x in starts(width, tiling)]
    return found if len(found) > 1 else []


def no_lap(_: str) -> None:
    """Nobody takes the time."""


class TiledDetector:
    """A detector that looks at a picture as a whole and tile by tile.

    Args:
        detector: for one tile; its thresholds hold for the merged boxes too.
        tiling: how pictures are cut.
        iou: overlap from which two boxes are one, where it isn't the detector's: one that leaves suppression to its
            caller has a threshold of 1.
        max_det: boxes of a whole picture, where it isn't the detector's.

    Raises:
        UserError: the model finds more than upright boxes.
    """

    def __init__(
        self, detector: Detector, tiling: Tiling, *, iou: float | None = None, max_det: int | None = None
    ) -> None:
        refuse_other_tasks(detector)
        self.detector, self.tiling = detector, tiling
        self._share = detector.thresholds.iou if iou is None else iou
        self._max_det = detector.thresholds.max_det if max_det is None else max_det

    def __call__(self, image: Image, *, bgr: bool = False, lap: Lap = no_lap) -> Detections:
        """Detections of a picture uint8 [h, w, 3], best score first, in its px.

        Args:
            image: the picture.
            bgr: its channels are blue, green, red.
            lap: told what has just been done: preprocess, inference or postprocess, several times a picture.
        """
        return self.with_tiles(image, self._look([image], bgr, lap)[0], bgr=bgr, lap=lap)

    def with_tiles(self, image: Image, whole: Detections, *, bgr: bool = False, lap: Lap = no_lap) -> Detections:
        """What was found of the whole picture, merged with what its tiles show; as it is where there are none."""
        places = corners(image.shape[0], image.shape[1], self.tiling)
        if not places:
            return whole
        found = [whole]
        for some in self._calls(places):
            size = self.tiling.size
            crops = [np.ascontiguousarray(image[y : y + size, x : x + size]) for x, y in some]
            found += self._look(crops, bgr, lap)
        merged = self._merged(found, [(0, 0), *places])
        lap("postprocess")
        return merged

    def _calls(self, places: Sequence[Corner]) -> Iterator[Sequence[Corner]]:
        """The tiles of each call: as many as the file insists on, else as the tiling says."""
        step = self.detector.input.batch or max(self.tiling.batch, 1)
        for first in range(0, len(places), step):
            yield places[first : first + step]

    def _look(self, images: Sequence[Image], bgr: bool, lap: Lap) -> list[Detections]:
        prepared = [self.detector.prepare(image, bgr=bgr) for image in images]
        lap("preprocess")
        outputs = self.detector.run(np.stack([p.x for p in prepared]))
        lap("inference")
        found = self.detector.finish(outputs, prepared)
        lap("postprocess")
        return found

    def _merged(self, found: Sequence[Detections], places: Sequence[Corner]) -> Detections:
        moved = [d.boxes + np.array([x, y, x, y], np.float32) for d, (x, y) in zip(found, places)]
        boxes, scores = np.concatenate(moved), np.concatenate([d.scores for d in found])
        classes = np.concatenate([d.classes for d in found])
        order = np.argsort(-scores, kind="stable")
        boxes, scores, classes = boxes[order], scores[order], classes[order]
        if self.tiling.merge == "smaller":
            whole = without_parts(boxes, classes, self._share)
            boxes, scores, classes = boxes[whole], scores[whole], classes[whole]
        kept = suppress(boxes, classes, self.detector.thresholds.iou, self._max_det)
        return Detections(boxes[kept], scores[kept], classes[kept])


def refuse_other_tasks(detector: Detector) -> None:
    """Boxes of several tiles can be merged; masks, key points and boxes with an angle would be cut or lost.

    Raises:
        UserError: the model finds more than upright boxes.
    """
    task = detector.output.task
    if task in ("", "detect"):
        return
    why = {"obb": "neighbours with an angle overlap by their upright boxes, and merging would lose one of them"}
    what = f"tiles are for models of upright boxes, and this is a model for {task}"
    remedy = "leave tile out, or take a detect model"
    raise UserError(f"{what}: {why.get(task, 'a tile cuts what it finds beside the box')}", value=task, remedy=remedy)


def without_parts(boxes: NDArray[np.float32], classes: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    """Indices of the boxes [n, 4], best score first, that share at most `share` of the smaller one with a better one.

    What the border of a tile cut lies within the whole object, where its IoU is low. A better box rules even where it
    is the smaller: of nested objects of one class only the surer stays.
    """
    area = np.maximum(boxes[:, 2] - boxes[:, 0], 0) * np.maximum(boxes[:, 3] - boxes[:, 1], 0)
    left, kept = np.arange(len(boxes)), []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(int(best))
        size = np.minimum(boxes[left, 2:], boxes[best, 2:]) - np.maximum(boxes[left, :2], boxes[best, :2])
        common = np.prod(np.maximum(size, 0), axis=1)
        goes = (common > share * np.minimum(area[left], area[best])) & (classes[left] == classes[best])
        left = left[~goes]
    return np.array(kept, np.int64)
