"""Which images INT8 is calibrated on, and that each is hashed once."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from src.common import hashes
from src.common.errors import UserError
from src.config.exporting import CalibrationConfig
from src.config.schema import ExportConfig
from src.export import calibration

CFG = ExportConfig(name="test")


def with_calibration(**values: object) -> ExportConfig:
    return replace(CFG, calibration=CalibrationConfig(**values))  # type: ignore[arg-type]


def test_a_folder_of_ones_own_replaces_the_part_of_train(images: list[str], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("b.png", "a.JPG", "notes.txt", "in/c.png"):
        (tmp_path / name).write_bytes(b"x")
    assert calibration.images_of(CFG, images) == images
    found = calibration.images_of(with_calibration(folder=str(tmp_path)), images)
    assert [Path(path).name for path in found] == ["a.JPG", "b.png", "c.png"]


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"export.calibration.folder holds no images"):
        calibration.images_of(with_calibration(folder=str(tmp_path)), [])


@pytest.mark.parametrize(("fmt", "images", "expected"), [("onnx", None, 128), ("litert", None, 48), ("litert", 7, 7)])
def test_as_many_are_taken_as_asked_for_evenly(fmt: str, images: int | None, expected: int) -> None:
    own = [f"{i:03d}.png" for i in range(200)]
    found = calibration.chosen(own, fmt, with_calibration(images=images))
    assert len(found) == expected
    assert list(found) == sorted(set(found))
    assert found[-1] > "160.png"
    assert calibration.chosen(own[:3], fmt, CFG) == ("000.png", "001.png", "002.png")


def test_an_image_is_hashed_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, read = tmp_path / "a.png", []

    def counted(path: Path) -> str:
        read.append(path)
        return hashes.sha256_file(path)

    monkeypatch.setattr(calibration, "sha256_file", counted)
    image.write_bytes(b"one")
    first = calibration.hashes_of([str(image)])
    assert calibration.hashes_of([str(image)]) == first
    assert len(read) == 1
    known = calibration.remembered([str(image)])
    monkeypatch.setattr(calibration, "_hashes", {})  # as in another process
    calibration.remember([list(row) for row in known])  # by way of JSON
    assert calibration.hashes_of([str(image)]) == first
    assert len(read) == 1
    image.write_bytes(b"other")
    os.utime(image, ns=(1, 1))
    assert calibration.hashes_of([str(image)]) != first
    assert len(read) == 2


def test_an_image_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone.png"):
        calibration.hashes_of([str(tmp_path / "gone.png")])
