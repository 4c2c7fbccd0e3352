"""Changes to an image that keep its boxes whole: noise, blur, contrast, and a crop that cuts no box.

Used in training and by `python -m src.data augment`. OpenCV and numpy do the work. Albumentations has the same and
more, but has had no release since May 2025, brings an OpenCV of its own that overwrites the one here, and Ultralytics
blurs and greys one image in a hundred as soon as it finds it installed: weights would depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Boxes = NDArray[np.float64]
KEYS = ("noise", "blur", "contrast", "crop")


def changed(
    image: Pixels, boxes: Boxes, strengths: Mapping[str, float], rng: np.random.Generator
) -> tuple[Pixels, Boxes]:
    """An image with its boxes, changed by random amounts up to the strengths that are given.

    Args:
        image: [h, w, channels] uint8; it is not written to.
        boxes: [n, 4] corners in px.
        strengths: by the names of `KEYS`; what is missing or 0 changes nothing and draws nothing.
        rng: what amounts are drawn from.

    Returns:
        An image of the same shape, and as many boxes.
    """
    if strengths.get("crop"):
        image, boxes = cropped(image, boxes, strengths["crop"], rng)
    if strengths.get("contrast"):
        image = contrasted(image, 1 + float(rng.uniform(-1, 1)) * strengths["contrast"])
    if strengths.get("blur"):
        image = blurred(image, float(rng.uniform(0, strengths["blur"])))
    if strengths.get("noise"):
        image = noisy(image, float(rng.uniform(0, strengths["noise"])), rng)
    return image, boxes


def noisy(image: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """Gaussian noise whose standard deviation is a share of the range of values."""
    noise = rng.standard_normal(image.shape, np.float32) * np.float32(255 * share)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def blurred(image: Pixels, px: float) -> Pixels:
    """Gaussian blur with a standard deviation in px; less than a tenth is none."""
    import cv2

    if px < 0.1:
        return image
    return np.asarray(cv2.GaussianBlur(image, (0, 0), px), np.uint8).reshape(image.shape)


def contrasted(image: Pixels, gain: float) -> Pixels:
    """Every value's distance to the image's mean times the gain."""
    mean = float(image.mean())
    table = np.clip(np.rint((np.arange(256) - mean) * gain + mean), 0, 255).astype(np.uint8)
    found: Pixels = table[image]
    return found


def cropped(image: Pixels, boxes: Boxes, share: float, rng: np.random.Generator) -> tuple[Pixels, Boxes]:
    """A part of the image at its full size: up to a share of each side is cut off, but nothing of a box."""
    import cv2

    height, width = image.shape[:2]
    left, top, right, bottom = (rng.uniform(0, share, 4) * (width, height, width, height)).tolist()
    x1, y1, x2, y2 = round(left), round(top), width - round(right), height - round(bottom)
    if len(boxes):
        low, high = np.floor(boxes[:, :2].min(axis=0)), np.ceil(boxes[:, 2:].max(axis=0))
        x1, y1 = min(x1, max(int(low[0]), 0)), min(y1, max(int(low[1]), 0))
        x2, y2 = max(x2, min(int(high[0]), width)), max(y2, min(int(high[1]), height))
    part = cv2.resize(image[y1:y2, x1:x2], (width, height), interpolation=cv2.INTER_LINEAR)
    gain = np.array([width / (x2 - x1), height / (y2 - y1)] * 2)
    moved: Boxes = (boxes - np.array([x1, y1] * 2)) * gain
    return np.asarray(part, np.uint8).reshape(image.shape), moved
