"""A colour for each class, the same in every picture of the project."""

from __future__ import annotations

import colorsys

GOLDEN = 0.618034  # steps of the hue by this share never come close to one another soon


def class_colour(class_id: int) -> tuple[int, int, int]:
    """Red, green, blue, in 0..255."""
    red, green, blue = colorsys.hsv_to_rgb(class_id * GOLDEN % 1, 0.85, 0.95)
    return int(red * 255), int(green * 255), int(blue * 255)
