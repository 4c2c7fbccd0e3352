"""Neighbours of the reported cases: what is refused names the cause, what is read otherwise than written is told."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from src.common.errors import UserError
from src.data import load_split
from src.data.prepare import Prepared, prepare
from src.data.tool_plans import Options
from src.data.tools import run_tool
from tests.data.builders import config, picture, snapshot
from tests.data.cases import (
    HEAD,
    coco,
    darknet,
    flat,
    lists,
    pose,
    roboflow_yolo,
    trainval,
    twelve_bits,
    voc,
    xml,
    yolo,
)

Build = Callable[[Path], object]


def _with(*steps: Build) -> Build:
    def build(folder: Path) -> None:
        for step in steps:
            step(folder)

    return build


def _write(name: str, content: bytes | str) -> Build:
    def step(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return step


def _move(one: str, two: str) -> Build:
    return lambda folder: (folder / one).rename(folder / two)


def _remove(name: str) -> Build:
    return lambda folder: shutil.rmtree(folder / name) if (folder / name).is_dir() else (folder / name).unlink()


def _draw(name: str, seed: int = 99) -> Build:
    return lambda folder: picture(folder / name, seed)


def _names(text: str) -> Build:
    return lambda folder: yolo(folder, f"names: {text}\n")


def _prepare(kind: str, build: Build, base: Path, **keys: object) -> Prepared:
    folder = base / "own"
    folder.mkdir()
    build(folder)
    file = folder / "data.yaml"
    before = snapshot(folder)
    done = prepare(config(kind, path=file if kind == "yolo" and file.exists() else folder, **keys), base / "out")
    assert snapshot(folder) == before
    return done


def _every(change: Callable[[dict[str, Any]], object], which: str = "annotations") -> Build:
    return lambda folder: coco(folder, change=lambda raw: [change(row) for row in raw[which]])


LABEL = "labels/train/train1.txt"
HEIC = b"\0\0\0\x18ftypheic" + bytes(60)
REFUSED: dict[str, tuple[str, Build, str]] = {
    # columns
    "pose of another shape": ("yolo", pose("[17, 3]", "0 0.5 0.4 0.2 0.2" + " 0.5 0.4" * 17 + "\n"),
                              r"train0\.txt:1: expected 56 columns \(a box and kpt_shape \[17, 3\]\).*found 39"),
    "pose that isn't declared": ("yolo", lambda f: yolo(f, text="0 0.5 0.4 0.2 0.2 0.45 0.45 1 0.55 0.42 1\n"),
                                 r"key points, not a polygon; declare `kpt_shape: \[2, 3\]`"),
    "pose of an even width": ("yolo", lambda f: yolo(f, text="0 0.5 0.4 0.2 0.2" + " 0.5 0.4 2" * 17 + "\n"),
                              r"declare `kpt_shape: \[17, 3\]`"),
    "kpt_shape of words": ("yolo", pose("[a, 3]", "0 0.5 0.4 0.2 0.2\n"), "`kpt_shape` must be"),
    "six columns": ("yolo", lambda f: yolo(f, text="0 0.2 0.2 0.1 0.2 0.9\n"), "found 6: the sixth may be"),
    "a class by name": ("yolo", lambda f: yolo(f, text="cat 0.2 0.2 0.1 0.2\n"), "begins with the number of its class"),
    "commas": ("yolo", lambda f: yolo(f, text="0,0.2,0.2,0.1,0.2\n"), "parted by commas"),
    "KITTI": ("yolo", lambda f: yolo(f, text="Car 0 0 -1.5 61 17 72 28 1.5 1.7 4.1 1 1.7 13 -1.6\n"), "KITTI's layout"),
    "pixels": ("yolo", lambda f: yolo(f, text="0 30 20 10 10\n"), "box 0 30 20 10 10 .*these seem to be pixels"),
    # pairs
    "a label misnamed": ("yolo", _with(yolo, _move(LABEL, "labels/train/other.txt")),
                         r"other\.txt: no image has this name, and 1 images beside it"),
    "an annotation misnamed": ("voc", _with(voc, _write("Annotations/q.xml", xml("gone.jpg", [("cat", [1, 2, 9, 9])])),
                                            _remove("Annotations/p1.xml")),
                               r"q\.xml: this annotation has no image \(gone\.jpg\), and 1 images"),
    "labels in another folder": ("yolo", _with(yolo, _move("labels/train", "labels/training")),
                                 r"train0\.jpg: has no label file where one is looked for, but .*training/train0\.txt"),
    "another program's annotation": ("yolo", _with(yolo, _remove(LABEL), _write("images/train/train1.json", "{}")),
                                     r"but .*train1\.json has its name"),
    "one annotation, two pictures": ("voc", _with(voc, _draw("JPEGImages/p1.png")), "has the name of this picture too"),
    "two annotations, one picture": ("voc", _with(voc, _write("Annotations/q.xml", xml("p1.jpg", [])),
                                                  _write("Annotations/more/p1.xml", xml("p1.jpg", []))),
                                     "is of the same image"),
    "a list of what isn't there": ("voc", _with(trainval, _write("ImageSets/Main/test.txt", "p10\np99\n")),
                                   r"test\.txt: 'p99' is listed"),
    "a listed picture that is gone": ("yolo", _with(lists("./"), _remove("images/val/val1.jpg")),
                                      r"val\.txt:2: '\./images/val/val1\.jpg' is listed"),
    # what can't be decoded
    "HEIC with labels": ("yolo", _with(yolo, _write("images/train/x.heic", HEIC),
                                       _write("labels/train/x.txt", "0 .5 .5 .1 .1")),
                         r"x\.heic: .*HEIC, which no decoder here reads: convert"),
    "GIF with labels": ("yolo", _with(yolo, _draw("images/train/x.gif"), _write("labels/train/x.txt", "0 .5 .5 .1 .1")),
                        r"x\.gif: format GIF .*convert it to JPEG or PNG"),
    # layouts
    "no data.yaml": ("yolo", _with(yolo, _remove("data.yaml")), r"there is: images/ .*\n.*printf 'test: images/test"),
    "COCO as YOLO": ("yolo", coco, "data=coco data.path="),
    "VOC as COCO": ("coco", voc, "data=voc data.path="),
    "a split that is misspelt": ("yolo", lambda f: yolo(f, head=HEAD.replace("images/val", "images/vall")),
                                 r"`val` does not exist; there is: .*images/"),
    "a list in another encoding": ("yolo", _with(lists("./"), _write("train.txt", "./安.jpg\n".encode("gb18030"))),
                                   r"train\.txt:1: not UTF-8 text.*\n.*save the file as UTF-8"),
    "no picture of an annotation file": ("coco", _with(coco, _remove("images/train"), _write("images/train/a.md", "")),
                                         r"none of the 4 images that it lists was found, the first is 'im0\.jpg'"),
    # first causes, and numbers of the file
    "ids that are none": ("coco", _every(lambda row: row.update(id=None), "images"), "an image needs an `id`"),
    "a picture that can't be opened": ("coco", _with(coco, _write("images/train/im0.jpg", "junk")),
                                       r"has 1 error:\n.*im0\.jpg: is not a readable image"),
    "two classes of one name": ("coco", lambda f: coco(f, categories=({"id": 3, "name": "a"}, {"id": 7, "name": "a"}),
                                                       used=(3, 7)), "categories 3 and 7 are both called 'a'"),
    "a box of annotation 0": ("coco", _every(lambda row: row.update(bbox=[10, 20, -3, 5])),
                              r"box \[10, 20, -3, 5\] of annotation 0 has a negative"),
    "files of no split beside some": ("coco", _with(coco, lambda f: shutil.copy(
        f / "annotations/instances_train.json", f / "annotations/instances_more.json")), "belongs to no split"),
    "VOC in shares": ("voc", _with(voc, _write("Annotations/p1.xml", xml("p1.jpg", [("cat", [0.1, 0.2, 0.5, 0.6])]))),
                      r"object 1 \(cat\): xmin 0\.1, .*within 0\.\.1"),
    "CVAT's own XML": ("voc", _with(voc, _write("Annotations/p1.xml", "<annotations/>")), "CVAT's own XML"),
    "XML in another encoding": ("voc", _with(voc, _write("Annotations/p1.xml", "<a>安</a>".encode("gbk"))),
                                "save the file as UTF-8"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_cause(tmp_path: Path, name: str) -> None:
    kind, build, said = REFUSED[name]
    with pytest.raises(UserError, match=said):
        _prepare(kind, build, tmp_path)


JOB = "annotations/instances_job{}.json"


def _copy_job(folder: Path) -> None:
    shutil.copy(folder / JOB.format(1), folder / JOB.format(2))


READ: dict[str, tuple[str, Build, str, int]] = {  # what is told ("" for nothing), number of boxes
    "points in their box": ("yolo", lambda f: yolo(f, text="0 0.5 0.4 0.2 0.2 0.45 0.45 0.55 0.42\n"),
                            r"declare `kpt_shape: \[2, 2\]`", 10),
    "oriented boxes": ("yolo", lambda f: yolo(f, text="{c} 0.2 0.2 0.6 0.25 0.55 0.6 0.15 0.55\n"), "", 10),
    "null as text": ("yolo", _names("[no, 'null']"), "", 10),
    "names by anchor": ("yolo", lambda f: yolo(f, "x: &a [on, off]\nnames: *a\n"), "", 10),
    "by <filename>": ("voc", _with(voc, _move("Annotations/p1.xml", "Annotations/q.xml")), "<filename> names", 24),
    "a.jpg.txt": ("yolo", _with(yolo, _move(LABEL, "labels/train/train1.jpg.txt")), "by its whole name", 10),
    "letters of another case": ("yolo", _with(yolo, _move("labels", "LABELS"), _move("images", "Images")), "", 10),
    "one label for two pictures": ("yolo", _with(yolo, _draw("images/train/train1.png")), "counts for 2 images", 11),
    "two labels for a picture": ("yolo", _with(yolo, _write("images/train/train1.txt", "0 .5 .5 .1 .1")),
                                 "holds other rows", 10),
    "pictures that aren't read": ("yolo", _with(yolo, _draw("images/train/x.gif"), _write("images/val/y.heic", HEIC)),
                                  r"1 files look like pictures and are not read: x\.gif", 10),
    "nested": ("yolo", lambda f: yolo(f / "inner"), r"inner/data\.yaml was read", 10),
    "Darknet's obj.data": ("yolo", lambda f: darknet(f, yaml=False), "", 12),
    "labelImg, flat": ("yolo", _with(flat, _remove("data.yaml")), r"classes are those of classes\.txt", 12),
    "Roboflow's folders, no data.yaml": ("yolo", _with(roboflow_yolo, _remove("data.yaml"),
                                                       _write("classes.txt", "cat\ndog\n")), "train: train", 10),
    "a path of its own name": ("yolo", lambda f: yolo(f, head=HEAD.replace("images/", "own/images/")), "", 10),
    "a path of Windows": ("yolo", lambda f: yolo(f, head=HEAD.replace("path: .", "path: C:\\ds")), "", 10),
    "val twice": ("yolo", lambda f: yolo(f, head=HEAD.replace("images/test", "images/val")),
                  "`test` names the same images as `val`", 7),
    "COCO as downloaded": ("coco", lambda f: coco(f, {s: (f"annotations/instances_{s}2017.json", f"{s}2017")
                                                      for s in ("train", "val")}), "", 7),
    "one JSON file a split": ("coco", lambda f: coco(f, {"train": ("train.json", "images"),
                                                         "val": ("val.json", "images")}), "", 7),
    "jobs of the same pictures": ("coco", _with(lambda f: coco(f, {"": (JOB.format(1), "images")}), _copy_job),
                                  "its boxes were put together", 10),
    "addresses": ("coco", lambda f: coco(f, {"": ("result.json", "images")}, named=lambda n: f"s3://b/x%20y/{n}?t=1"),
                  "the only picture called", 10),
    "pictures in no JSON": ("coco", _with(coco, _draw("images/train/more.jpg")), "1 images are in no annotation", 10),
    "text as ids": ("coco", lambda f: coco(f, change=lambda raw: [
        row.update({k: f"i{row[k]}" for k in ("id", "image_id") if k in row})
        for row in (*raw["images"], *raw["annotations"])]), "", 10),
    "VOC of images/": ("voc", lambda f: voc(f, 12, lambda i: (f"images/p{i}.jpg", f"annotations/p{i}.xml")), "", 24),
    "VOC's devkit": ("voc", lambda f: voc(f / "VOCdevkit/VOC2007"), "", 24),
    "masks beside": ("voc", _with(voc, _draw("SegmentationClass/p1.png")), "", 24),
    "XML that is no annotation": ("voc", _with(voc, _write("pom.xml", "<project/>")), "was skipped: expected", 24),
    "XML in GB2312": ("voc", _with(voc, lambda f: [p.write_bytes(
        ('<?xml version="1.0" encoding="gb2312"?>' + p.read_text().replace("cat", "安")).encode("gb2312"))
        for p in (f / "Annotations").iterdir()]), "", 24),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_read_and_told(tmp_path: Path, name: str) -> None:
    kind, build, said, boxes = READ[name]
    done = _prepare(kind, build, tmp_path)
    told = "\n".join(done.ref.warnings)
    splits = [load_split(done.ref, split) for split in ("train", "val", "test")]
    assert sum(len(sample.classes) for own in splits for sample in own) == boxes
    if said:
        assert re.search(said, told), told


def test_the_same_picture_in_two_lists_stays_where_it_judges(tmp_path: Path) -> None:
    """`skip` leaves one copy out, not both."""
    text = "".join(f"./images/{name}.jpg\n" for name in (*(f"train/train{i}" for i in range(4)), "val/val0"))
    twice = _with(lists("./"), _write("train.txt", text))
    done = _prepare("yolo", twice, tmp_path, on_error="skip")
    assert done.ref.split_sizes == {"train": 4, "val": 3, "test": 0}


def test_names_that_meet_in_one_folder_are_numbered(tmp_path: Path) -> None:
    """VOC has one folder for all: train/a.jpg and val/a.jpg beside a picture that is called train-a already."""
    own = tmp_path / "own"
    own.mkdir()
    yolo(own)
    for split in ("train", "val"):
        picture(own / f"images/{split}/a.jpg", 300 + len(split))
        (own / f"labels/{split}/a.txt").write_text("0 0.5 0.5 0.25 0.5\n")
    picture(own / "images/train/train-a.jpg", 400)
    (own / "labels/train/train-a.txt").write_text("1 0.5 0.5 0.5 0.5\n")
    out = tmp_path / "voc"
    run_tool("convert", config("yolo", path=own / "data.yaml"), Options(out=str(out), to="voc"), tmp_path / "out")
    assert len(list((out / "JPEGImages").iterdir())) == len(list((out / "Annotations").iterdir())) == 13


def test_stretch_uses_the_whole_range(tmp_path: Path) -> None:
    from PIL import Image

    own = tmp_path / "own"
    own.mkdir()
    twelve_bits(own)
    before = snapshot(own)
    out = tmp_path / "eight"
    cfg = config("yolo", path=own / "data.yaml")
    manifest = run_tool("stretch", cfg, Options(out=str(out)), tmp_path / "out")
    assert len(manifest["actions"]) == 10
    with Image.open(own / "images/val/val0.png") as deep, Image.open(out / "images/val/val0.png") as flat8:
        for x, y in ((0, 0), (7, 9), (63, 47)):
            assert flat8.getpixel((x, y)) == round(deep.getpixel((x, y)) * 255 / 4095)  # type: ignore[operator]
    assert prepare(config("yolo", path=out / "data.yaml"), tmp_path / "out").ref.split_sizes["train"] == 4
    assert snapshot(own) == before


def test_data_path_may_be_the_file(tmp_path: Path) -> None:
    coco(tmp_path / "own")
    file = tmp_path / "own/annotations/instances_train.json"
    raw = json.loads(file.read_text())
    done = prepare(config("coco", path=file), tmp_path / "out")
    assert sum(done.ref.split_sizes.values()) == len(raw["images"])
    darknet(tmp_path / "dark", yaml=False)
    done = prepare(config("yolo", path=tmp_path / "dark/obj.data"), tmp_path / "out")
    assert sum(done.ref.split_sizes.values()) == 12
