"""Writes figures of matplotlib: drawn once, and whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_png(figure: Figure, path: Path) -> None:
    """Write a figure as PNG; `savefig` would draw it once more for the layout alone."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba()).convert("RGB")
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        picture.save(aside, "PNG")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
