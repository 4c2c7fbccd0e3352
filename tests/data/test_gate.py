"""Planted faults: each is reported with the file's name and line, nothing of the user's is changed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.common.errors import UserError
from src.data import load_split, resolve
from src.data.gate import check_balance, resolvable
from src.data.types import DataError
from tests.data.builders import config, picture, snapshot, yolo_set

SPLITS = {"train": 6, "val": 3, "test": 2}


def _label(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "labels/train/train002.txt").write_text(text)


def _cut(folder: Path) -> None:
    file = folder / "images/train/train002.jpg"
    file.write_bytes(file.read_bytes()[:-200])


def _write(name: str, data: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(data)


def _copy_across(folder: Path) -> None:
    shutil.copy(folder / "images/val/val001.jpg", folder / "images/train/copied.jpg")
    shutil.copy(folder / "labels/val/val001.txt", folder / "labels/train/copied.txt")


def _tiny(folder: Path) -> None:
    picture(folder / "images/train/train002.jpg", 5, size=(9, 40))


def _gif(folder: Path) -> None:
    Image.new("L", (30, 30)).save(folder / "images/train/train002.jpg", "GIF")


ERRORS: list[tuple[Callable[[Path], object], str, str]] = [
    (_cut, "train002.jpg: is not a readable image", "truncated"),
    (_write("images/train/train002.jpg", b""), "train002.jpg: is an empty file", "empty"),
    (_write("images/train/train002.jpg", b"hello"), "train002.jpg: is not a readable image", "text"),
    (_label("0 0.5 0.5 0.2 0.2\n99 0.5 0.5 0.2 0.2\n"), "train002.txt:2: class id 99", "class"),
    (_label("-1 0.5 0.5 0.2 0.2\n"), "train002.txt:1: class id -1", "negative class"),
    (_label("0 nan 0.5 0.2 0.2\n"), "train002.txt:1: 'nan' is not a finite", "nan"),
    (_label("0 0.5 0.5 inf 0.2\n"), "train002.txt:1: 'inf' is not a finite", "inf"),
    (_label("\n0 0.5 0.5 -0.2 0.2\n"), "train002.txt:2: box .* negative width", "negative"),
    (_label("0 0.5 0.5 0 0.2\n"), "train002.txt:1: box .* no area", "area"),
    (_label("0 0.9 0.5 0.4 0.2\n"), "train002.txt:1: box .* outside", "outside"),
    (_label("0 50 50 20 20\n"), "train002.txt:1: box .* outside", "pixels"),
    (_label("0 0.5 0.5 0.2\n"), "train002.txt:1: expected", "columns"),
    (_label("cat 0.5 0.5 0.2 0.2\n"), "train002.txt:1: 'cat' is not a number", "word"),
    (_label("0.5 0.5 0.5 0.2 0.2\n"), "train002.txt:1: class '0.5'", "share"),
    (_write("labels/train/train002.txt", b"0 0.5\xff"), "train002.txt:1: not UTF-8", "bytes"),
    (_copy_across, "copied.jpg: the same image is in train and", "leak"),
    (_tiny, "train002.jpg: 9x40 px", "tiny"),
    (_gif, "train002.jpg: format GIF", "gif"),
]


@pytest.mark.parametrize(("plant", "said", "name"), ERRORS, ids=[name for _, _, name in ERRORS])
def test_error_stops_or_skips_that_image_alone(
    tmp_path: Path, plant: Callable[[Path], object], said: str, name: str
) -> None:
    file = yolo_set(tmp_path / "own", SPLITS)
    plant(tmp_path / "own")
    before = snapshot(tmp_path / "own")
    with pytest.raises(UserError, match=said):
        resolve(config("yolo", path=file), tmp_path / "out")
    ref = resolve(config("yolo", path=file, on_error="skip"), tmp_path / "out")
    images = {Path(s.image).name for split in SPLITS for s in load_split(ref, split)}
    assert sum(ref.split_sizes.values()) == (11 if name == "leak" else 10)
    assert not images & {"train002.jpg", "copied.jpg"} or (name == "leak" and "copied.jpg" not in images)
    assert any(w.startswith("left out: ") and ("train002" in w or "copied.jpg" in w) for w in ref.warnings)
    assert snapshot(tmp_path / "own") == before


def test_all_errors_are_kept_though_the_message_is_short(tmp_path: Path) -> None:
    file = yolo_set(tmp_path / "own", SPLITS, label="7 0.5 0.5 0.2 0.2\n")
    with pytest.raises(DataError) as caught:
        resolve(config("yolo", path=file), tmp_path / "out")
    assert sum(f.code == "class-id" for f in caught.value.findings) == 11
    assert len(str(caught.value).splitlines()) <= 12


def _png_called_jpg(folder: Path) -> None:
    picture(folder / "images/train/train002.jpg", 2, format="PNG")


def _rotated(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(folder / "images/train/train002.jpg", 2, exif=exif)


def _no_end(folder: Path) -> None:
    file = folder / "images/train/train002.jpg"
    file.write_bytes(file.read_bytes() + b"trailing")


def _near(folder: Path) -> None:
    with Image.open(folder / "images/val/val001.jpg") as image:
        image.resize((128, 96)).save(folder / "images/train/train002.jpg", quality=60)


def _twice(folder: Path) -> None:
    shutil.copy(folder / "images/train/train001.jpg", folder / "images/train/train002.jpg")


WARNINGS: list[tuple[Callable[[Path], object], str]] = [
    (_png_called_jpg, "is a PNG file, but is called .jpg"),
    (_rotated, "EXIF orientation 6"),
    (_no_end, "no end marker"),
    (_near, "looks the same as"),
    (_twice, "the same image as"),
    (lambda folder: (folder / "labels/train/train002.txt").unlink(), "no label file"),
    (_label(""), "holds no boxes"),
    (_write("labels/train/stray.txt", b""), "stray.txt: this label file has no"),
    (_label("0 0.5 0.5 0.2 0.2\n0 0.5 0.5 0.2 0.2\n"), "is there twice"),
    (_label("0 0.9 0.5 0.205 0.2\n"), "slightly outside"),
    (_label("0 0.5 0.5 0.001 0.001\n"), "less than one pixel"),
]


@pytest.mark.parametrize(("plant", "said"), WARNINGS)
def test_warning_goes_into_the_risks(tmp_path: Path, plant: Callable[[Path], object], said: str) -> None:
    file = yolo_set(tmp_path / "own", SPLITS)
    assert not any(said in w for w in resolve(config("yolo", path=file), tmp_path / "out").warnings)
    plant(tmp_path / "own")
    before = snapshot(tmp_path / "own")
    ref = resolve(config("yolo", path=file), tmp_path / "out")
    assert any(said in warning for warning in ref.warnings)
    assert ref.split_sizes == SPLITS
    assert snapshot(tmp_path / "own") == before


def test_rotated_image_has_the_size_that_opencv_shows(tmp_path: Path) -> None:
    file = yolo_set(tmp_path / "own", SPLITS)
    _rotated(tmp_path / "own")
    sample = load_split(resolve(config("yolo", path=file), tmp_path / "out"), "train")[2]
    assert (sample.width, sample.height) == (48, 64)


def test_an_image_ultralytics_would_rewrite_is_copied(tmp_path: Path) -> None:
    """It restores a JPEG without end marker in place; through a link that would be the user's file."""
    file = yolo_set(tmp_path / "own", SPLITS)
    _no_end(tmp_path / "own")
    linked = [
        Path(s.image).is_symlink() for s in load_split(resolve(config("yolo", path=file), tmp_path / "out"), "train")
    ]
    assert linked == [True, True, False, True, True, True]


def test_true_suffix_in_the_prepared_folder(tmp_path: Path) -> None:
    file = yolo_set(tmp_path / "own", SPLITS)
    _png_called_jpg(tmp_path / "own")
    sample = load_split(resolve(config("yolo", path=file), tmp_path / "out"), "train")[2]
    assert Path(sample.image).name == "train002.png"


def test_repeated_box_counts_once(tmp_path: Path) -> None:
    file = yolo_set(tmp_path / "own", SPLITS)
    (tmp_path / "own/labels/train/train002.txt").write_text("0 0.5 0.5 0.2 0.2\n1 0.5 0.5 0.2 0.2\n0 0.5 0.5 0.2 0.2\n")
    sample = load_split(resolve(config("yolo", path=file), tmp_path / "out"), "train")[2]
    assert sample.classes.tolist() == [0, 1]


def test_change_is_seen_without_verify_and_hidden_change_with_it(tmp_path: Path) -> None:
    file = yolo_set(tmp_path / "own", SPLITS)
    first = resolve(config("yolo", path=file), tmp_path / "out").fingerprint
    image = tmp_path / "own/images/train/train001.jpg"
    data = bytearray(image.read_bytes())
    data[-30] ^= 1  # the same size; the time is put back below
    stat = image.stat()
    with image.open("r+b") as stream:
        stream.write(data)
    os.utime(image, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert resolve(config("yolo", path=file), tmp_path / "out").fingerprint == first
    assert resolve(config("yolo", path=file, verify=True), tmp_path / "out").fingerprint != first


@pytest.mark.parametrize("junk", ["", "{", "[]", '{"a": 1}', '{"a": [1]}', "[" * 100_000, '{"a": ["x", "y"]}'])
def test_foreign_scan_cache_is_ignored(tmp_path: Path, junk: str) -> None:
    file = yolo_set(tmp_path / "own", SPLITS)
    ref = resolve(config("yolo", path=file), tmp_path / "out")
    for cache in (tmp_path / "out/datasets/.scan").iterdir():
        cache.write_text(junk)
    assert resolve(config("yolo", path=file), tmp_path / "out") == ref


@pytest.mark.parametrize(
    ("key", "value"),
    [("kind", "nope"), ("on_error", "ignore"), ("fraction", 0.0), ("fraction", 1.5), ("val_share", 0.5)],
)
def test_bad_option(tmp_path: Path, key: str, value: object) -> None:
    cfg = config("yolo", path=yolo_set(tmp_path / "own", SPLITS))
    setattr(cfg, key, value)
    with pytest.raises(UserError, match=rf"data\.{key}"):
        resolve(cfg, tmp_path / "out")


def _classes(*own: list[int]) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    return [np.array(c, np.int64) for c in own]


def test_balance_findings() -> None:
    train = _classes(*[[0]] * 50, [1], [0, 2], [0, 2])
    found = check_balance({"train": train, "val": _classes([0], [1])}, ["a", "b", "c", "d"])
    text = " | ".join(f.message for f in found)
    assert "val has no box of c" in text
    assert "no split has a box of d" in text
    assert "52 boxes of a, 1 of b" in text
    assert "val has only 2 images" in text


@pytest.mark.parametrize(
    ("images", "expected"),
    [([], 1.0), ([[]], 1.0), ([[0]] * 100, 0.098), ([[0, 0]] * 100, 0.098), ([[0, 1]] * 100, 0.098 / 2**0.5)],
)
def test_resolvable_difference(images: list[list[int]], expected: float) -> None:
    assert resolvable(_classes(*images)) == pytest.approx(expected, abs=1e-3)
