"""The sample sheet is drawn from small copies, upright, at the place that the labels mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.data.pictures import CELL_PX, _small


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_a_large_turned_picture_is_drawn_small_and_upright(tmp_path: Path, kind: str) -> None:
    pixels = np.zeros((1500, 3000, 3), np.uint8)
    pixels[:750, :1500] = 255  # the quarter at the upper left: turned by the camera, at the upper right
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / f"a.{kind}", exif=exif)
    small = _small(str(tmp_path / f"a.{kind}"))
    assert small.shape == (CELL_PX, CELL_PX // 2, 3)
    height, width = small.shape[0] // 2, small.shape[1] // 2
    assert small[: height - 4, width + 4 :].min() > 240
    assert max(small[:, : width - 4].max(), small[height + 4 :].max()) < 15
