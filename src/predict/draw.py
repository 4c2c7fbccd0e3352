"""Draws boxes with names and scores; a colour for each class, the same in every run."""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import numpy as np

from src.inference import Detections
from src.predict.engine import Image

GOLDEN = 0.618034  # steps of the hue by this share never come close to one another soon


def colour(class_id: int) -> tuple[int, int, int]:
    """Blue, green, red."""
    red, green, blue = colorsys.hsv_to_rgb(class_id * GOLDEN % 1, 0.85, 0.95)
    return int(blue * 255), int(green * 255), int(red * 255)


def draw(image: Image, found: Detections, name_of: Callable[[int], str]) -> Image:
    """A copy of a BGR picture with its detections, the best on top."""
    import cv2

    out = image.copy()
    width = max(round(sum(image.shape[:2]) / 600), 1)
    size = max(width / 3, 0.4)
    for i in range(len(found.scores) - 1, -1, -1):
        x1, y1, x2, y2 = (int(v) for v in found.boxes[i].round())
        class_id = int(found.classes[i])
        tint, text = colour(class_id), f"{name_of(class_id)} {found.scores[i]:.2f}"
        cv2.rectangle(out, (x1, y1), (x2, y2), tint, width, cv2.LINE_AA)
        (w, h), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, max(width - 1, 1))
        top = y1 - h - base if y1 - h - base >= 0 else y1
        cv2.rectangle(out, (x1, top), (x1 + w, top + h + base), tint, -1)
        white = (255, 255, 255)
        place = (x1, top + h + base // 2)
        cv2.putText(out, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, white, max(width - 1, 1), cv2.LINE_AA)
    return np.asarray(out, np.uint8)
