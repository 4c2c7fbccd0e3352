"""Pictures that travel: bit for bit what the detection path makes of the image files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from src.benchmark.pictures import differences, key_of, picture, read_pictures, write_pictures
from src.common.errors import UserError
from src.inference import fit, load_image
from src.records.model_io import Input, Resize


@pytest.fixture
def photographs(tmp_path: Path) -> list[str]:
    """Three of noise, of several shapes."""
    rng = np.random.default_rng(1)
    files = []
    for i, (height, width) in enumerate([(48, 80), (100, 30), (64, 64)]):
        files.append(str(tmp_path / f"{i}.png"))
        cv2.imwrite(files[-1], rng.integers(0, 256, (height, width, 3), np.uint8))
    return files


@pytest.mark.parametrize("resize", ["letterbox", "stretch", "shortest_side"])
@pytest.mark.parametrize("colour", ["rgb", "bgr"])
def test_they_are_what_the_network_would_get(
    photographs: list[str], tmp_path: Path, resize: Resize, colour: str
) -> None:
    shape = Input(64, 96, resize, mean=[0.4, 0.5, 0.6], std=[0.2, 0.3, 0.1], colour="bgr" if colour == "bgr" else "rgb")
    write_pictures(tmp_path / "a.npz", photographs, shape)
    found = list(read_pictures(tmp_path / "a.npz", shape))
    for file, item in zip(photographs, found, strict=True):
        x, transform = fit(load_image(file), shape)
        assert np.array_equal(x, item.x)
        assert transform == item.transform


def test_one_file_serves_all_inputs_of_a_size(photographs: list[str], tmp_path: Path) -> None:
    plain, other = Input(64, 64), Input(64, 64, mean=[0.5] * 3, std=[0.25] * 3, colour="bgr")
    assert key_of(plain) == key_of(other) != key_of(Input(64, 32))
    write_pictures(tmp_path / "a.npz", photographs, plain)
    for file, item in zip(photographs[1:], read_pictures(tmp_path / "a.npz", other, 1, 3), strict=True):
        assert np.array_equal(fit(load_image(file), other)[0], item.x)


def test_differences_are_undone() -> None:
    planes = np.random.default_rng(2).integers(0, 256, (3, 9, 7), np.uint8)
    assert np.array_equal(picture(differences(planes)), planes)


def test_another_size_and_damage_are_refused(photographs: list[str], tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write_pictures(path, photographs, Input(64, 64))
    with pytest.raises(UserError, match="another size"):
        list(read_pictures(path, Input(96, 96)))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match="can't be read"):
        list(read_pictures(path, replace(Input(64, 64))))
    with pytest.raises(UserError, match="can't be read"):
        list(read_pictures(tmp_path / "none.npz", Input(64, 64)))
