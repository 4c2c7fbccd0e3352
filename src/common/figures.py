"""Writes figures of matplotlib: drawn once, and whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from src.common.fonts import canvas_class
from src.common.whole_files import whole_file, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_png(figure: Figure, path: Path) -> None:
    """Write a figure as PNG; `savefig` would draw it once more for the layout alone.

    Where names could not be drawn with the fonts of this machine, `<figure>.txt` beside it says what its numbers mean.
    """
    from PIL import Image

    canvas = canvas_class()(figure)
    canvas.draw()
    _write_legend(canvas.legend.lines(), path.with_suffix(".txt"))
    picture = Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba()).convert("RGB")
    with whole_file(path) as aside:
        picture.save(aside, "PNG")


def _write_legend(lines: str, path: Path) -> None:
    if lines:
        write_text(path, lines)
    else:
        path.unlink(missing_ok=True)  # of an earlier figure of this name
