"""The embedded dataset: the same bytes always, no digit in two splits, boxes that fit."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from src.common.root import ROOT
from src.data import load_split, resolve
from src.data.digits import _handwritten, _pools, make_digits, png
from tests.data.builders import config

SMALL = {"n_train": 12, "n_val": 4, "n_test": 4, "size": 160}


def test_bytes_are_pinned(tmp_path: Path) -> None:
    """Another machine with the same lock must make these bytes; raise digits.VERSION when they change on purpose."""
    make_digits(tmp_path, {"train": 3, "val": 1, "test": 1}, 320, 0)
    digest = hashlib.sha256(b"".join(p.read_bytes() for p in sorted(tmp_path.rglob("*.png")))).hexdigest()
    assert digest == "c1c7b7f269ca4a4916d845caec3e37eb1608b201d7ef2143ac72fdf415a49fb4"


def test_same_parameters_same_fingerprint(tmp_path: Path) -> None:
    one = resolve(config("digits", **SMALL), tmp_path / "a")
    two = resolve(config("digits", **SMALL), tmp_path / "b")
    other = resolve(config("digits", **SMALL, seed=1), tmp_path / "b")
    assert one.fingerprint == two.fingerprint != other.fingerprint
    assert one.split_sizes == {"train": 12, "val": 4, "test": 4}
    assert one.class_names == [str(i) for i in range(10)]


def test_second_resolve_writes_nothing(tmp_path: Path) -> None:
    ref = resolve(config("digits", **SMALL), tmp_path)
    before = {p: p.stat().st_mtime_ns for p in Path(ref.yaml).parent.rglob("*")}
    assert resolve(config("digits", **SMALL), tmp_path) == ref
    assert {p: p.stat().st_mtime_ns for p in Path(ref.yaml).parent.rglob("*")} == before


@pytest.mark.parametrize("damage", ["image", "label", "index", "yaml", "gone"])
def test_damaged_folder_is_made_again(tmp_path: Path, damage: str) -> None:
    ref = resolve(config("digits", **SMALL), tmp_path)
    folder = Path(ref.yaml).parent
    file = {
        "image": folder / "images/val/val_00001.png",
        "label": folder / "labels/val/val_00001.txt",
        "index": folder / "index.json",
        "yaml": folder / "data.yaml",
        "gone": folder / "images/test/test_00000.png",
    }[damage]
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(content[: len(content) // 2])
    assert resolve(config("digits", **SMALL), tmp_path) == ref
    assert file.read_bytes() == content


def test_no_digit_in_two_splits() -> None:
    pools = _pools(0)
    seen: dict[str, set[bytes]] = {s: {g.tobytes() for own in classes for g in own} for s, classes in pools.items()}
    assert sum(map(len, seen.values())) == 1797
    assert not seen["train"] & seen["val"]
    assert not seen["train"] & seen["test"]
    assert not seen["val"] & seen["test"]


def test_boxes_hold_bright_ink_and_do_not_overlap(tmp_path: Path) -> None:
    ref = resolve(config("digits", **SMALL), tmp_path)
    for sample in load_split(ref, "train"):
        pixels = np.asarray(Image.open(sample.image))
        assert pixels.shape == (160, 160)
        assert len(sample.boxes)
        for x1, y1, x2, y2 in sample.boxes.round().astype(int).tolist():
            assert 0 <= x1 < x2 <= 160
            assert 0 <= y1 < y2 <= 160
            assert pixels[y1:y2, x1:x2].max() > 150
        for i, one in enumerate(sample.boxes):
            for two in sample.boxes[i + 1 :]:
                width, height = np.minimum(one[2:], two[2:]) - np.maximum(one[:2], two[:2])
                assert width <= 0 or height <= 0


@pytest.mark.parametrize("seed", range(5))
def test_smallest_scene(tmp_path: Path, seed: int) -> None:
    data = make_digits(tmp_path, {"train": 20, "val": 1, "test": 1}, 64, seed)
    assert all(len(item.classes) for item in data.items)
    assert min(item.boxes[:, 2:].min() for item in data.items) >= 1


def test_png_reads_back(tmp_path: Path) -> None:
    pixels = np.arange(300 * 301, dtype=np.uint64).reshape(300, 301).astype(np.uint8)
    (tmp_path / "a.png").write_bytes(png(pixels))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), pixels)


def test_the_handwritten_digits_are_those_of_the_library_which_is_not_imported() -> None:
    code = "import sys; from src.data.digits import _handwritten; _handwritten(); sys.exit('sklearn' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    images, classes = _handwritten()
    theirs = load_digits()
    assert np.array_equal(images, theirs.images)
    assert np.array_equal(classes, theirs.target)
