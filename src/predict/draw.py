"""Draws boxes with names and scores; a colour for each class, the same in every run."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from src.common.colours import class_colour
from src.inference import Detections
from src.predict.engine import Image

log = logging.getLogger(__name__)
WHITE = (255, 255, 255)


def colour(class_id: int) -> tuple[int, int, int]:
    """Blue, green, red."""
    red, green, blue = class_colour(class_id)
    return blue, green, red


def draw(image: Image, found: Detections, name_of: Callable[[int], str]) -> Image:
    """A copy of a BGR picture with its detections, the best on top. Names may be of any script."""
    import cv2

    out = image.copy()
    width = max(round(sum(image.shape[:2]) / 600), 1)
    for i in range(len(found.scores) - 1, -1, -1):
        x1, y1, x2, y2 = (int(v) for v in found.boxes[i].round())
        class_id = int(found.classes[i])
        cv2.rectangle(out, (x1, y1), (x2, y2), colour(class_id), width, cv2.LINE_AA)
        name, score = name_of(class_id), f"{found.scores[i]:.2f}"
        write = _write_plain if name.isascii() else _write_any
        write(out, f"{name} {score}", f"class {class_id} {score}", (x1, y1), colour(class_id), width)
    return np.asarray(out, np.uint8)


def _write_plain(out: Any, text: str, _: str, place: tuple[int, int], tint: tuple[int, int, int], width: int) -> None:
    """ASCII, by OpenCV's own strokes."""
    import cv2

    size, (x1, y1) = max(width / 3, 0.4), place
    (w, h), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, max(width - 1, 1))
    top = y1 - h - base if y1 - h - base >= 0 else y1
    cv2.rectangle(out, (x1, top), (x1 + w, top + h + base), tint, -1)
    cv2.putText(
        out, text, (x1, top + h + base // 2), cv2.FONT_HERSHEY_SIMPLEX, size, WHITE, max(width - 1, 1), cv2.LINE_AA
    )


def _write_any(
    out: Any, text: str, instead: str, place: tuple[int, int], tint: tuple[int, int, int], width: int
) -> None:
    """Any script that a font here has, else the class by its number."""
    from PIL import Image as Pillow
    from PIL import ImageDraw, ImageFont

    path = font_for("".join(sorted(set(text) - set("0123456789. "))))
    if not path:
        _write_plain(out, instead, instead, place, tint, width)
        return
    font = ImageFont.truetype(path, max(round(width * 8), 12))
    left, upper, right, lower = font.getbbox(text)
    w, h = round(right - left) + 2, round(lower - upper) + 2
    x, y = max(place[0], 0), place[1] - h if place[1] - h >= 0 else max(place[1], 0)
    label = Pillow.new("RGB", (w, h), tint)  # channels stay in OpenCV's order: white has none
    ImageDraw.Draw(label).text((1 - left, 1 - upper), text, fill=WHITE, font=font)
    part = out[y : y + h, x : x + w]
    part[...] = np.asarray(label)[: part.shape[0], : part.shape[1]]


@functools.lru_cache(maxsize=1000)
def font_for(text: str) -> str:
    """A font file with all signs of a text; "" where none is installed, which is told once for each text."""
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    wanted = {ord(sign) for sign in text if not sign.isspace()}
    entries = sorted(
        font_manager.fontManager.ttflist, key=lambda e: (e.name != "DejaVu Sans", e.weight != 400, e.fname)
    )
    for entry in entries:
        if "Last Resort" in entry.name:  # it has a box for every sign
            continue
        try:
            if wanted <= set(FT2Font(entry.fname).get_charmap()):
                return str(entry.fname)
        except (OSError, RuntimeError):
            continue
    log.warning("no font here has all signs of %r: its class is drawn by its number (fonts-noto-cjk has most)", text)
    return ""
