"""What a training reads: images fitted into the network's input once, their boxes, and what is done to them each epoch.

Every random choice is drawn from the seed, the epoch and the image's place, so that a training that goes on after a
kill makes the same choices without having kept a generator.
"""

from __future__ import annotations

import math
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

    def read(self) -> None:
        """Read all of them now, where they are kept."""
        if self._kept is not None:
            for i in range(len(self)):
                self[i]

    def _fit(self, sample: Sample) -> Fitted:
        x, transform = fit(load_image(sample.image), input_of(self.imgsz))
        gain, pad = np.array(transform.gain * 2), np.array(transform.pad * 2)
        pixels = np.rint(x * 255).astype(np.uint8)
        return Fitted(pixels, sample.boxes * gain + pad, sample.classes, transform)


def augmented(item: Fitted, a: AugmentConfig, rng: np.random.Generator) -> tuple[Bytes, Boxes, NDArray[np.int64]]:
    """An image [3, h, w] with its boxes, changed as the recipe asks; boxes that leave the picture go."""
    pixels, boxes = item.pixels, item.boxes.copy()
    if a.scale or a.translate or a.degrees or a.shear or a.perspective:
        pixels, boxes = moved(pixels, boxes, homography(a, rng, pixels.shape[2], pixels.shape[1]))
    if a.hsv_h or a.hsv_s or a.hsv_v:
        pixels = _coloured(pixels, a, rng)
    height, width = pixels.shape[1:]
    if rng.random() < a.fliplr:
        pixels = pixels[:, :, ::-1]
        boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
    if rng.random() < a.flipud:
        pixels = pixels[:, ::-1]
        boxes[:, [1, 3]] = height - boxes[:, [3, 1]]
    if a.bgr and rng.random() < a.bgr:
        pixels = pixels[::-1]
    boxes = np.clip(boxes, 0, np.array([width, height, width, height]))
    left = (boxes[:, 2:] - boxes[:, :2] >= SMALLEST).all(axis=1)
    return np.ascontiguousarray(pixels), boxes[left], item.classes[left]


def homography(a: AugmentConfig, rng: np.random.Generator, width: int, height: int) -> Boxes:
    """A random matrix [3, 3] from px to px: perspective, turn, zoom and shear about the centre, then a shift."""

    def between(most: float) -> float:
        return float(rng.uniform(-most, most))

    tilt, turn, slant = np.eye(3), np.eye(3), np.eye(3)
    tilt[2, :2] = between(a.perspective), between(a.perspective)
    angle, zoom = math.radians(between(a.degrees)), 1 + between(a.scale)
    turn[:2, :2] = zoom * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    slant[0, 1], slant[1, 0] = math.tan(math.radians(between(a.shear))), math.tan(math.radians(between(a.shear)))
    to_centre, back = np.eye(3), np.eye(3)
    to_centre[:2, 2] = -width / 2, -height / 2
    back[:2, 2] = width * (0.5 + between(a.translate)), height * (0.5 + between(a.translate))
    found: Boxes = back @ slant @ turn @ tilt @ to_centre
    return found


def moved(pixels: Bytes, boxes: Boxes, matrix: Boxes) -> tuple[Bytes, Boxes]:
    """An image and its boxes after a homography, by torchvision's transforms: a box surrounds its corners' places."""
    import torch
    from torchvision import tv_tensors
    from torchvision.transforms.v2 import functional

    height, width = pixels.shape[1:]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    there = np.hstack([corners, np.ones((4, 1))]) @ matrix.T
    ends = (there[:, :2] / there[:, 2:]).tolist()
    begins = [[int(x), int(y)] for x, y in corners]
    image = functional.perspective(torch.from_numpy(pixels), begins, ends, fill=[GREY] * 3)
    framed: Any = tv_tensors.BoundingBoxes(
        torch.from_numpy(boxes), format="XYXY", canvas_size=(height, width), clamping_mode=None
    )
    placed = functional.perspective(framed, begins, ends)
    return image.numpy(), np.asarray(placed.numpy(), np.float64)


def _coloured(pixels: Bytes, a: AugmentConfig, rng: np.random.Generator) -> Bytes:
    """Hue, saturation and value, as the keys mean it for Ultralytics: hue turns, the others are multiplied."""
    import cv2

    turn, *gains = rng.uniform(-1, 1, 3) * (a.hsv_h, a.hsv_s, a.hsv_v)
    values = np.arange(256)
    hue = (values + turn * 180) % 180
    saturation, value = (np.clip(values * (1 + gain), 0, 255) for gain in gains)
    saturation[0] = 0  # white, grey and black stay so
    table = np.stack([hue, saturation, value], axis=-1).astype(np.uint8)[None]
    hsv = cv2.cvtColor(np.ascontiguousarray(pixels.transpose(1, 2, 0)), cv2.COLOR_RGB2HSV)
    return np.asarray(cv2.cvtColor(cv2.LUT(hsv, table), cv2.COLOR_HSV2RGB), np.uint8).transpose(2, 0, 1)


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
