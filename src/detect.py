"""From an image to boxes, in numpy, shared by every engine: letterbox, decode, suppression.

One path for all formats and runtimes means that a difference in accuracy comes from the model file and not from its
surroundings. The geometry is that of Ultralytics' validation of square inputs (`rect=False`), and so are the default
thresholds; suppression has no wall-clock limit, so that a slow machine finds the same boxes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from src import vault
from src.errors import UserError

Float = NDArray[np.float32]
Head = Literal["dense", "dense_unit", "end2end", "queries"]
HEADS: tuple[Head, ...] = ("dense", "dense_unit", "end2end", "queries")
PAD_VALUE = 114
MAX_CANDIDATES = 30_000
BLOCK = 64  # boxes that suppression compares at once: fewer calls of numpy, in memory that stays in the cache


@dataclass(frozen=True)
class Thresholds:
    """What becomes a detection."""

    conf: float = 0.001  # lowest score
    iou: float = 0.7  # boxes of one class that overlap more are one
    max_det: int = 300  # per image
    multi_label: bool = True  # a box may carry several classes


VALIDATION = Thresholds()
DEPLOYMENT = Thresholds(conf=0.25, multi_label=False)


@dataclass(frozen=True)
class LetterboxTransform:
    """How an image was placed in the square input."""

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


def load_image(path: Path | str) -> NDArray[np.uint8]:
    """Read an image file as uint8 [h, w, 3] RGB, turned upright.

    Raises:
        UserError: the file is missing or is no image.
    """
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise UserError(
            f"an image can't be read ({error.strerror})",
            value=path,
            remedy="check the dataset",
        ) from None
    return decode_image(content, str(path))


def decode_image(content: NDArray[np.uint8], name: str = "image in memory") -> NDArray[np.uint8]:
    """Decode the bytes of an image file, uint8 [bytes], to uint8 [h, w, 3] RGB.

    An encrypted file is opened with the key of the environment.

    Raises:
        UserError: the bytes are no image, or are encrypted with another key than the one at hand.
    """
    import cv2

    if vault.is_encrypted(content[: len(vault.MAGIC)].tobytes()):
        content = np.frombuffer(vault.plain(content.tobytes(), name), np.uint8)
    image = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    if image is None:
        raise UserError(
            "a file is not an image that can be decoded",
            value=name,
            remedy="check the dataset",
        )
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def letterbox(
    image: NDArray[np.uint8], imgsz: int, *, stretch: bool = False, bgr: bool = False
) -> tuple[Float, LetterboxTransform]:
    """Fit an image uint8 [h, w, 3] into a square input float32 [3, imgsz, imgsz] in 0..1, RGB; `bgr` if the image is.

    The longer side becomes `imgsz`; the rest is filled with grey, evenly on both sides. With `stretch` both sides
    become `imgsz`, as RT-DETR is trained.
    """
    import cv2

    height, width = image.shape[:2]
    new_w, new_h = _resized(width, height, imgsz, stretch)
    if (new_w, new_h) != (width, height):
        image = np.asarray(cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_LINEAR), np.uint8)
    left, top = _pad_before(imgsz - new_w), _pad_before(imgsz - new_h)
    transform = LetterboxTransform((new_w / width, new_h / height), (left, top), (height, width))
    if (new_w, new_h) != (imgsz, imgsz):
        right, bottom = imgsz - new_w - left, imgsz - new_h - top
        grey = (PAD_VALUE,) * 3
        padded = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=grey)
        image = np.asarray(padded, np.uint8)
    return _to_planes(image, bgr), transform


def _to_planes(image: NDArray[np.uint8], bgr: bool) -> Float:
    """uint8 [h, w, 3] to float32 [3, h, w] in 0..1. Planes are parted as bytes: a quarter of the memory to move."""
    import cv2

    planes = np.empty((3, *image.shape[:2]), np.float32)
    for plane, target in zip(cv2.split(np.ascontiguousarray(image)), planes[::-1] if bgr else planes, strict=True):
        np.multiply(plane, np.float32(1 / 255), out=target, dtype=np.float32)
    return planes


def _resized(width: int, height: int, imgsz: int, stretch: bool) -> tuple[int, int]:
    """New width and height. Ultralytics' validation rounds up here, its predictor to the nearest."""
    if stretch:
        return imgsz, imgsz
    ratio = imgsz / max(height, width)
    return min(math.ceil(width * ratio), imgsz), min(math.ceil(height * ratio), imgsz)


def _pad_before(free: int) -> int:
    """Left or top padding: half of what is free, rounded down at a half."""
    return round(free / 2 - 0.1)


def decode(
    raw: Float, imgsz: int, thresholds: Thresholds = VALIDATION, *, head: Head = "dense"
) -> list[tuple[Float, Float, NDArray[np.int64]]]:
    """Turn a network's output into boxes in input px (xyxy), scores and classes, for each image of the batch.

    Args:
        raw: by `head`: "dense" [n, 4 + classes, anchors], boxes as centre and size in input px; "dense_unit" the same
            with coordinates in 0..1; "end2end" [n, k, 6], xyxy in input px, score, class, already suppressed;
            "queries" [n, k, 6], centre and size in 0..1, score, class.
        imgsz: side of the square input, px.
        thresholds: what counts as a detection.
        head: layout of the output.

    Raises:
        ValueError: the output has another shape than the head says.
    """
    if raw.ndim != 3 or (head in ("end2end", "queries") and raw.shape[2] != 6):
        raise ValueError(f"a {head} head can't give an output of shape {list(raw.shape)}")
    if head in ("end2end", "queries"):
        return [_decode_listed(rows, imgsz, thresholds, head) for rows in raw]
    scale = imgsz if head == "dense_unit" else 1
    return [_decode_dense(columns, scale, thresholds) for columns in raw]


def _decode_listed(
    rows: Float, imgsz: int, thresholds: Thresholds, head: Head
) -> tuple[Float, Float, NDArray[np.int64]]:
    """Rows [k, 6] of a head that has chosen its detections by itself."""
    rows = rows[rows[:, 4] > thresholds.conf]
    rows = rows[np.argsort(-rows[:, 4], kind="stable")][: thresholds.max_det].astype(np.float32)
    boxes = _corners(rows[:, :4]) * np.float32(imgsz) if head == "queries" else rows[:, :4]
    return boxes, rows[:, 4], rows[:, 5].astype(np.int64)


def _decode_dense(columns: Float, scale: int, thresholds: Thresholds) -> tuple[Float, Float, NDArray[np.int64]]:
    """One image's [4 + classes, anchors]. Scores are looked at in their own layout: most anchors end right here."""
    scores = columns[4:]
    if thresholds.multi_label and len(scores) > 1:
        classes, anchors = np.nonzero(scores > thresholds.conf)
        values = scores[classes, anchors]
    else:
        best = scores.max(axis=0)
        anchors = np.flatnonzero(best > thresholds.conf)
        values = best[anchors]
        classes = scores[:, anchors].argmax(axis=0)
    order = np.argsort(-values, kind="stable")[:MAX_CANDIDATES]
    boxes = _corners(columns[:4, anchors[order]].T.astype(np.float32) * np.float32(scale))
    values, classes = values[order].astype(np.float32), classes[order].astype(np.int64)
    keep = suppress(boxes, classes, thresholds.iou, thresholds.max_det)
    return boxes[keep], values[keep], classes[keep]


def _corners(boxes: Float) -> Float:
    """Centre and size [n, 4] to corners [n, 4]."""
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def suppress(boxes: Float, classes: NDArray[np.int64], iou: float, max_det: int) -> NDArray[np.int64]:
    """Greedy non-maximum suppression within each class, a block of the best boxes that are left at a time.

    Args:
        boxes: [n, 4] xyxy, best score first.
        classes: [n].
        iou: a box that overlaps a better one of its class by more than this goes.
        max_det: stop when so many are kept.

    Returns:
        Indices of the kept boxes, best first.
    """
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])

    def covers(better: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which boxes [b] go because of which [a]: [a, b]."""
        a = better[:, None]
        x1, y1, x2, y2 = boxes.T
        width = np.minimum(x2[a], x2[others]) - np.maximum(x1[a], x1[others])
        height = np.minimum(y2[a], y2[others]) - np.maximum(y1[a], y1[others])
        overlap = np.maximum(width, 0) * np.maximum(height, 0)
        # No division: overlap / union > iou, with union = areas - overlap.
        over = overlap > iou * (area[a] + area[others] - overlap)
        return np.asarray(over & (classes[a] == classes[others]), np.bool_)

    left = np.arange(len(boxes))
    kept: list[int] = []
    while left.size and len(kept) < max_det:
        block, left = left[:BLOCK], left[BLOCK:]
        goes, free, best = covers(block, block), np.ones(len(block), np.bool_), []
        for i in range(len(block)):
            if free[i]:
                best.append(i)
                free &= ~goes[i]
        kept.extend(block[best].tolist())
        if left.size:
            left = left[~covers(block[best], left).any(axis=0)]
    return np.array(kept[:max_det], np.int64)


def to_detections(decoded: tuple[Float, Float, NDArray[np.int64]], transform: LetterboxTransform) -> Detections:
    """Bring one image's decoded boxes back to its own pixels."""
    boxes, scores, classes = decoded
    return Detections(transform.to_image(boxes), scores, classes)
