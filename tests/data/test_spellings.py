"""The same dataset as other systems and tools spell it: read alike or refused by name, never read as another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.common.errors import UserError
from src.data.labels import parse_labels
from tests.data.cases import HEAD, yolo
from tests.data.test_kinds import LABEL, _draw, _prepare, _with, _write

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
