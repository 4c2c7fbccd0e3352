"""The same dataset as other systems and tools spell it: read alike or refused by name, never read as another one."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from src.common.errors import UserError
from src.data import load_split
from src.data.labels import parse_labels
from src.data.prepare import prepare
from tests.data.builders import config, picture
from tests.data.cases import HEAD, coco, voc, yolo
from tests.data.test_kinds import LABEL, _draw, _every, _prepare, _with, _write

ROWS = ["0 0.5 0.5 0.25 0.25", "1 0.2 0.2 0.1 0.1", "0 0.8 0.8 0.1 0.1"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\r\n", "\u2028", "\x0c"])
def test_every_end_of_line_parts_rows(end: str) -> None:
    """Three rows of five columns in one line would be a polygon of seven points."""
    found = parse_labels((end.join(ROWS) + end).encode())
    assert found.classes.tolist() == [0, 1, 0]
    assert found.boxes[1].tolist() == [0.2, 0.2, 0.1, 0.1]
    assert not found.polygons
    assert not found.problems


def test_labels_in_utf16_are_those_of_their_mark() -> None:
    """As PowerShell's `>` writes them."""
    assert parse_labels("\n".join(ROWS).encode("utf-16")).classes.tolist() == [0, 1, 0]
    (problem,) = parse_labels(b"\xff\xfe0\0\n").problems
    assert "UTF-16" in problem.message


def test_lists_of_files_end_their_lines_in_any_way(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        yolo(folder, head=HEAD.replace("images/val", "val.txt"))
        (folder / "val.txt").write_bytes(b"./images/val/val0.jpg\r./images/val/val1.jpg\r")

    assert _prepare("yolo", build, tmp_path).ref.split_sizes["val"] == 2


def test_a_decimal_comma_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'0,5' is not a number: write decimals with a point"):
        _prepare("yolo", _with(yolo, _write(LABEL, "0 0,5 0,5 0,2 0,2\n")), tmp_path)


def test_a_broken_label_is_told_without_calling_its_picture_a_background(tmp_path: Path) -> None:
    done = _prepare("yolo", _with(yolo, _write(LABEL, "0 nan 0.5 0.2 0.2\n")), tmp_path, on_error="skip")
    codes = {finding.code for finding in done.findings}
    assert "box-non-finite" in codes
    assert "label-empty" not in codes


def test_a_labelled_picture_without_a_suffix_is_an_error(tmp_path: Path) -> None:
    """It was left out, and its label counted as that of a picture."""

    def bare(folder: Path) -> None:
        _draw("images/train/z.jpg")(folder)
        (folder / "images/train/z.jpg").rename(folder / "images/train/z")

    build = _with(yolo, bare, _write("labels/train/z.txt", "0 .5 .5 .1 .1"))
    with pytest.raises(UserError, match=r"labels/train/z\.txt: its image may be .*/z, which has no suffix"):
        _prepare("yolo", build, tmp_path)


def test_a_list_with_boxes_behind_its_paths_is_not_said_to_lead_nowhere(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        yolo(folder, head=HEAD.replace("images/val", "val.txt"))
        (folder / "val.txt").write_text("./images/val/val0.jpg 1,2,20,30,0\n./images/val/val1.jpg 1,2,20,30,0\n")

    with pytest.raises(UserError, match="none of the 2 images") as caught:
        _prepare("yolo", build, tmp_path)
    assert "which is not there" not in str(caught.value)


@pytest.mark.parametrize(
    ("tail", "said"),
    [
        ("names: [cat, cat]\n", "classes 0 and 1 have one name"),
        ("names: [cat, ' cat ']\n", "classes 0 and 1 have one name"),
        ("names: ['', dog]\n", "class 0 has no name"),
        ("names: {0: cat, 2: dog}\n", r"(?s)without a gap.*\['0', '2'\].*1: unused"),
        ("names: {0: cat, 0: kitten, 1: dog}\n", r"data\.yaml:5: the key `0` is there twice"),
        ("names: [cat, dog]\ntrain: images/val\n", r"data\.yaml:6: the key `train` is there twice"),
        ("names: cat, dog\n", "(?s)not a list of class names.*'cat, dog'"),
        ("Names: [cat, dog]\n", "(?s)`names` is missing.*Names"),
        ('names: [cat, dog]\nx: "C:\\Users\\me"\n', "(?s)escape.*single quotes"),
        ("names:\n\t- cat\n", r"data\.yaml:6: not valid YAML \(found character"),
    ],
)
def test_names_and_keys_are_told_apart(tmp_path: Path, tail: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        _prepare("yolo", lambda folder: yolo(folder, tail), tmp_path)


def test_an_archive_is_to_be_unpacked(tmp_path: Path) -> None:
    yolo(tmp_path / "own")
    file = shutil.make_archive(str(tmp_path / "own"), "zip", tmp_path / "own")
    with pytest.raises(UserError, match=r"(?s)data\.path is an archive.*unpack it first"):
        prepare(config("yolo", path=file), tmp_path / "out")


@pytest.mark.parametrize("compression", ["zstd", "lzma"])
def test_a_tiff_that_opencv_cant_decode_is_told_before_training(tmp_path: Path, compression: str) -> None:
    """Pillow decodes it, training with OpenCV does not."""
    try:
        picture(tmp_path / "probe.tif", 5, compression=compression)
    except (OSError, RuntimeError):
        pytest.skip(f"Pillow can't write {compression} here")

    def build(folder: Path) -> None:
        yolo(folder)
        picture(folder / "images/train/z.tif", 5, compression=compression)

    with pytest.raises(UserError, match=rf"z\.tif: .*{compression} compression\) that OpenCV.*convert it to PNG"):
        _prepare("yolo", build, tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        ("\n<!DOCTYPE html><html>404</html>", "a web page"),
    ],
)
def test_what_lies_in_a_pictures_place_is_named(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        _prepare("yolo", _with(yolo, _write("images/train/z.jpg", content)), tmp_path)


@pytest.mark.parametrize("mark", [1, True, "1", 1.0, "true"])
def test_a_crowd_in_any_spelling_is_no_object(tmp_path: Path, mark: object) -> None:
    done = _prepare("coco", _every(lambda row: row.update(iscrowd=mark if row["id"] == 1 else "0")), tmp_path)
    assert (
        sum(len(s.classes) for split in ("train", "val", "test") for s in load_split(done.ref, split)) == 7
    )  # one of each file


@pytest.mark.parametrize(
    ("change", "which", "said"),
    [
        (lambda row: row.update(iscrowd="maybe"), "annotations", "iscrowd must be 0 or 1, found 'maybe'"),
        (lambda row: row.update(width=640.0, height=480.0), "images", "annotations say 640x480"),
        (lambda row: row.update(width="640", height="480"), "images", "annotations say 640x480"),
    ],
)
def test_what_coco_writes_as_text_or_decimals_is_heeded(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], which: str, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        _prepare("coco", _every(change, which), tmp_path)


def test_hashes_as_ids_and_files_of_key_points_are_read(tmp_path: Path) -> None:
    """uint64 is beyond what the reader took for a number."""

    def change(raw: dict[str, Any]) -> None:
        for row, key in [(r, "id") for r in raw["images"]] + [(r, "image_id") for r in raw["annotations"]]:
            row[key] += 1 << 63

    place = {s: (f"annotations/person_keypoints_{s}2017.json", f"images/{s}") for s in ("train", "val")}
    done = _prepare("coco", lambda folder: coco(folder, place, change=change), tmp_path)
    assert done.ref.split_sizes["val"] > 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"images": [', "it ends too early"),
        (b"[1]", "a list holds predictions"),
        ('{"images": [{"x": "安全"}]}'.encode("gb18030"), "save the file as UTF-8"),
    ],
)
def test_a_broken_file_of_coco_comes_with_a_remedy(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(UserError, match=f"(?s)instances_train.*remedy: .*{said}"):
        _prepare("coco", _with(coco, _write("annotations/instances_train.json", content)), tmp_path)


Form = Literal["NFC", "NFD"]


def _yolo_names(picture_form: Form, label_form: Form) -> Callable[[Path], object]:
    one, two = unicodedata.normalize(picture_form, "café"), unicodedata.normalize(label_form, "café")
    return _with(yolo, _draw(f"images/train/{one}.jpg"), _write(f"labels/train/{two}.txt", "0 .5 .5 .1 .1"))


def _coco_names(folder: Path) -> None:
    coco(folder)
    old = next((folder / "images/train").iterdir())
    old.rename(old.with_name(unicodedata.normalize("NFD", "café.jpg")))
    file = folder / "annotations/instances_train.json"
    file.write_text(file.read_text().replace(old.name, unicodedata.normalize("NFC", "café.jpg")))


def _voc_names(folder: Path) -> None:
    voc(folder)
    (folder / "JPEGImages/p1.jpg").rename(folder / "JPEGImages" / unicodedata.normalize("NFD", "é.jpg"))
    (folder / "Annotations/p1.xml").rename(folder / "Annotations" / unicodedata.normalize("NFC", "é.xml"))


@pytest.mark.parametrize(
    ("kind", "build", "boxes"),
    [
        ("yolo", _yolo_names("NFD", "NFC"), 11),
        ("yolo", _yolo_names("NFC", "NFD"), 11),
        ("coco", _coco_names, 10),
        ("voc", _voc_names, 24),
    ],
)
def test_names_that_look_alike_are_one(tmp_path: Path, kind: str, build: Callable[[Path], object], boxes: int) -> None:
    """A Mac parts the accent from its letter, and was told that é.txt and é.jpg have other names."""
    done = _prepare(kind, build, tmp_path)
    assert sum(len(s.classes) for split in ("train", "val", "test") for s in load_split(done.ref, split)) == boxes


def test_an_empty_line_between_names_shifts_no_class(tmp_path: Path) -> None:
    build = _with(
        yolo, lambda folder: (folder / "data.yaml").unlink(), _write("classes.txt", "\ufeffcat\r\n\r\ndog\r\n")
    )
    with pytest.raises(UserError, match="class 1 has no name"):
        _prepare("yolo", build, tmp_path)
