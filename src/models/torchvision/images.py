"""What a training reads: images fitted into the network's input once, their boxes, and what is done to them each epoch.

Every random choice is drawn from the seed, the epoch and the image's place, so that a training that goes on after a
kill makes the same choices without having kept a generator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.config.training import AugmentConfig
from src.data import Sample
from src.inference import LetterboxTransform, fit, load_image
from src.models.torchvision.outputs import input_of

Bytes = NDArray[np.uint8]
Boxes = NDArray[np.float64]
GREY = 114
SMALLEST = 2.0  # px: what is left of a box after it was moved out of the picture


@dataclass(frozen=True)
class Fitted:
    """An image in the network's input."""

    pixels: Bytes  # [3, h, w], RGB
    boxes: Boxes  # [n, 4] corners in px of the input
    classes: NDArray[np.int64]  # [n]
    transform: LetterboxTransform


class Images:
    """The images of a split, fitted into the input; kept in memory when asked for."""

    def __init__(self, samples: list[Sample], imgsz: int, *, keep: bool) -> None:
        self.samples, self.imgsz = samples, imgsz
        self._kept: dict[int, Fitted] | None = {} if keep else None

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> Fitted:
        if self._kept is None:
            return self._fit(self.samples[i])
        if i not in self._kept:
            self._kept[i] = self._fit(self.samples[i])
        return self._kept[i]

    def _fit(self, sample: Sample) -> Fitted:
        x, transform = fit(load_image(sample.image), input_of(self.imgsz))
        gain, pad = np.array(transform.gain * 2), np.array(transform.pad * 2)
        pixels = np.rint(x * 255).astype(np.uint8)
        return Fitted(pixels, sample.boxes * gain + pad, sample.classes, transform)


def augmented(item: Fitted, a: AugmentConfig, rng: np.random.Generator) -> tuple[Bytes, Boxes, NDArray[np.int64]]:
    """An image [3, h, w] with its boxes, changed as the recipe asks; boxes that leave the picture go."""
    pixels, boxes = item.pixels, item.boxes.copy()
    if a.scale or a.translate:
        pixels, boxes = _moved(pixels, boxes, a, rng)
    if a.hsv_h or a.hsv_s or a.hsv_v:
        pixels = _coloured(pixels, a, rng)
    height, width = pixels.shape[1:]
    if rng.random() < a.fliplr:
        pixels = pixels[:, :, ::-1]
        boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
    if rng.random() < a.flipud:
        pixels = pixels[:, ::-1]
        boxes[:, [1, 3]] = height - boxes[:, [3, 1]]
    boxes = np.clip(boxes, 0, np.array([width, height, width, height]))
    left = (boxes[:, 2:] - boxes[:, :2] >= SMALLEST).all(axis=1)
    return np.ascontiguousarray(pixels), boxes[left], item.classes[left]


def _moved(pixels: Bytes, boxes: Boxes, a: AugmentConfig, rng: np.random.Generator) -> tuple[Bytes, Boxes]:
    """Zoomed about the centre by 1 +/- scale, and shifted by +/- translate of the side."""
    import cv2

    height, width = pixels.shape[1:]
    zoom = 1 + rng.uniform(-a.scale, a.scale)
    shift = rng.uniform(-a.translate, a.translate, 2) * (width, height)
    offset = np.array([width, height]) / 2 * (1 - zoom) + shift
    matrix = np.array([[zoom, 0, offset[0]], [0, zoom, offset[1]]])
    image = cv2.warpAffine(
        np.ascontiguousarray(pixels.transpose(1, 2, 0)), matrix, (width, height), borderValue=(GREY,) * 3
    )
    return np.asarray(image, np.uint8).transpose(2, 0, 1), boxes * zoom + np.tile(offset, 2)


def _coloured(pixels: Bytes, a: AugmentConfig, rng: np.random.Generator) -> Bytes:
    """Hue, saturation and value times 1 +/- their shares."""
    import cv2

    gains = 1 + rng.uniform(-1, 1, 3) * (a.hsv_h, a.hsv_s, a.hsv_v)
    hsv = cv2.cvtColor(np.ascontiguousarray(pixels.transpose(1, 2, 0)), cv2.COLOR_RGB2HSV).astype(np.float64)
    hsv *= gains
    hsv[..., 0] %= 180
    whole = np.clip(hsv, 0, (179, 255, 255)).astype(np.uint8)
    return np.asarray(cv2.cvtColor(whole, cv2.COLOR_HSV2RGB), np.uint8).transpose(2, 0, 1)


def batches(images: Images, batch: int, seed: int, epoch: int) -> list[list[int]]:
    """Which images make which batch of an epoch."""
    order = np.random.default_rng([seed, epoch]).permutation(len(images))
    return [[int(i) for i in order[k : k + batch]] for k in range(0, len(order), batch)]


def as_tensors(images: Images, places: list[int], a: AugmentConfig, seed: int, epoch: int) -> tuple[Any, Any]:
    """Inputs [n, 3, h, w] in 0..1 and torchvision's targets of a batch; class 0 is the background."""
    import torch

    pixels, targets = [], []
    for i in places:
        image, boxes, classes = augmented(images[i], a, np.random.default_rng([seed, epoch, i]))
        pixels.append(torch.from_numpy(image))
        targets.append(
            {"boxes": torch.from_numpy(boxes).float().reshape(-1, 4), "labels": torch.from_numpy(classes) + 1}
        )
    return torch.stack(pixels).float() / 255, targets
