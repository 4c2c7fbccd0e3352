"""Tools write new folders only, with a manifest; conversions there and back keep boxes and fingerprints."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from src.common.errors import UserError
from src.config.schema import DataConfig
from src.data import load_split, resolve
from src.data.frames import extract_frames
from src.data.tool_plans import Options, repeat_factors
from src.data.tools import run_tool
from src.data.types import Boxes
from src.data.yolo import label_path
from tests.data import cases
from tests.data.builders import box, coco128, coco_set, config, picture, snapshot, yolo_set

SPLITS = {"train": 8, "val": 3, "test": 2}


def _convert(cfg: DataConfig, to: str, out: Path) -> DataConfig:
    """Convert and describe the result as a source."""
    run_tool("convert", cfg, Options(out=str(out), to=to), out.parent / "work")
    return config(to, path=out / "data.yaml" if to == "yolo" else out)


def _content(cfg: DataConfig, root: Path) -> tuple[str, list[tuple[str, list[int], Boxes]]]:
    ref = resolve(cfg, root)
    rows = [
        (f"{split}/{Path(s.image).name}", s.classes.tolist(), s.boxes)
        for split in SPLITS
        for s in load_split(ref, split)
    ]
    return ref.fingerprint, rows


@pytest.mark.parametrize("way", [["coco"], ["voc"], ["coco", "voc", "yolo"], ["voc", "coco", "yolo"]])
def test_coco128_there_and_back(tmp_path: Path, way: list[str]) -> None:
    source = coco128()
    images = [p for p in sorted((source / "images/train2017").iterdir()) if label_path(p).is_file()]
    (tmp_path / "train.txt").write_text("".join(f"{p}\n" for p in images))
    (tmp_path / "c.yaml").write_text(f"path: {source}\ntrain: {tmp_path / 'train.txt'}\nnc: 80\n")
    cfg = config("yolo", path=tmp_path / "c.yaml")
    before, rows = _content(cfg, tmp_path / "out")
    for step, to in enumerate(way):
        cfg = _convert(cfg, to, tmp_path / f"{step}-{to}")
    after, again = _content(cfg, tmp_path / "out")
    assert after == before
    for (name, classes, boxes), (name2, classes2, boxes2) in zip(rows, again, strict=True):
        assert (name, classes) == (name2, classes2)
        assert np.abs(boxes - boxes2).max(initial=0) < 1e-6


def test_labels_without_pictures_beside_pictures_without_labels_are_told(tmp_path: Path) -> None:
    """COCO128 as published has two of each: whoever reads it as it is must hear of it."""
    (tmp_path / "c.yaml").write_text(f"path: {coco128()}\ntrain: images/train2017\nnc: 80\n")
    with pytest.raises(UserError, match=r"000000000656\.txt: no image has this name, and 2 images"):
        resolve(config("yolo", path=tmp_path / "c.yaml"), tmp_path / "out")


def test_coco_to_coco_is_exact(tmp_path: Path) -> None:
    rng = np.random.Generator(np.random.PCG64(0))
    boxes = [[*rng.uniform(0, 20, 2).tolist(), *rng.uniform(1, 25, 2).tolist()] for _ in range(20)]
    train = [box(i, b, category=(7, 90)[i % 2], image=1 + i % 2, crowd=int(i % 7 == 6)) for i, b in enumerate(boxes)]
    folder = coco_set(tmp_path / "own", {"train": train, "val": [box(1, [1, 2, 3, 4])], "test": []})
    out = Path(str(_convert(config("coco", path=folder), "coco", tmp_path / "again").path))
    one = json.loads((folder / "annotations/instances_train.json").read_text())
    two = json.loads((out / "annotations/instances_train.json").read_text())

    def rows(raw: dict[str, list[dict[str, Any]]]) -> list[tuple[Any, ...]]:
        names = {row["id"]: row["file_name"] for row in raw["images"]}
        return sorted((names[a["image_id"]], a["category_id"], a["iscrowd"], *a["bbox"]) for a in raw["annotations"])

    for before, after in zip(rows(one), rows(two), strict=True):
        assert before[:3] == after[:3]
        assert np.allclose(before[3:], after[3:], rtol=0, atol=1e-6)
    assert sorted((c["id"], c["name"]) for c in one["categories"]) == sorted(
        (c["id"], c["name"]) for c in two["categories"]
    )


def test_voc_keeps_class_order_crowds_and_splits(tmp_path: Path) -> None:
    train = [box(1, [4, 5, 10, 12], category=90), box(2, [0, 0, 30, 30], crowd=1)]
    folder = coco_set(tmp_path / "own", {"train": train, "val": [box(1, [1, 2, 3, 4])], "test": [box(1, [1, 2, 3, 4])]})
    voc = _convert(config("coco", path=folder), "voc", tmp_path / "voc")
    ref = resolve(voc, tmp_path / "out")
    assert ref.class_names == ["cat", "dog"]
    assert ref.split_sizes == {"train": 2, "val": 2, "test": 2}
    sample = load_split(ref, "train")[0]
    assert sample.classes.tolist() == [1]
    assert np.allclose(sample.ignored, [[0, 0, 30, 30]])
    assert ref.fingerprint == resolve(config("coco", path=folder), tmp_path / "out").fingerprint


def test_voc_counting_from_one(tmp_path: Path) -> None:
    folder = coco_set(tmp_path / "own", {"train": [box(1, [4, 5, 10, 12])], "val": [box(1, [1, 2, 3, 4])]})
    voc = _convert(config("coco", path=folder), "voc", tmp_path / "voc")
    voc.one_based = True
    sample = load_split(resolve(voc, tmp_path / "out"), "train")[0]
    assert np.allclose(sample.boxes, [[3, 4, 14, 17]])


@pytest.mark.parametrize(
    ("text", "said"),
    [("<annotation", "not valid XML"), ("<a/>", "expected <annotation>"), ("<!DOCTYPE a>", "entities")],
)
def test_voc_errors_name_the_file(tmp_path: Path, text: str, said: str) -> None:
    voc = _convert(config("yolo", path=yolo_set(tmp_path / "own", SPLITS)), "voc", tmp_path / "voc")
    (tmp_path / "voc/Annotations/train003.xml").write_text(text)
    with pytest.raises(UserError, match=rf"train003\.xml: .*{said}"):
        resolve(voc, tmp_path / "out")
    voc.on_error = "skip"
    assert resolve(voc, tmp_path / "out").split_sizes["train"] == 7


def test_split_makes_new_parts(tmp_path: Path) -> None:
    file = yolo_set(tmp_path / "own", {"train": 30, "val": 3})
    manifest = run_tool("split", config("yolo", path=file), Options(out=str(tmp_path / "new")), tmp_path / "w")
    assert manifest["images"] == {"train": 23, "val": 5, "test": 5}
    assert len(manifest["actions"]) == 33
    ref = resolve(config("yolo", path=tmp_path / "new/data.yaml"), tmp_path / "out")
    assert ref.split_sizes == manifest["images"]
    assert ref.fingerprint == manifest["fingerprint"]


def test_dedupe_keeps_evaluation_as_it_was(tmp_path: Path) -> None:
    file = yolo_set(tmp_path / "own", SPLITS)
    own = tmp_path / "own"
    shutil.copy(own / "images/val/val001.jpg", own / "images/train/exact.jpg")
    with Image.open(own / "images/test/test000.jpg") as image:
        image.resize((128, 96)).save(own / "images/train/near.jpg")
    shutil.copy(own / "images/train/train001.jpg", own / "images/train/twice.jpg")
    for stem in ("exact", "near", "twice"):
        (own / f"labels/train/{stem}.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    with pytest.raises(UserError, match=r"exact\.jpg"):
        resolve(config("yolo", path=file), tmp_path / "out")
    before = snapshot(own)
    manifest = run_tool("dedupe", config("yolo", path=file), Options(out=str(tmp_path / "new")), tmp_path / "w")
    assert sorted(Path(a["image"]).name for a in manifest["actions"]) == ["exact.jpg", "near.jpg", "twice.jpg"]
    assert manifest["images"] == SPLITS
    assert resolve(config("yolo", path=tmp_path / "new/data.yaml"), tmp_path / "out").split_sizes == SPLITS
    assert snapshot(own) == before
    exact = run_tool("dedupe", config("yolo", path=file), Options(out=str(tmp_path / "e"), near=False), tmp_path / "w")
    assert len(exact["actions"]) == 2


def test_balance_repeats_rare_classes_in_train_only(tmp_path: Path) -> None:
    file = yolo_set(tmp_path / "own", {"train": 40, "val": 4, "test": 4}, label="0 0.5 0.5 0.25 0.5\n")
    (tmp_path / "own/labels/train/train007.txt").write_text("1 0.5 0.5 0.25 0.5\n")
    options = Options(out=str(tmp_path / "new"), threshold=0.4)
    manifest = run_tool("balance", config("yolo", path=file), options, tmp_path / "w")
    assert manifest["images"] == {"train": 43, "val": 4, "test": 4}
    ref = resolve(config("yolo", path=tmp_path / "new/data.yaml"), tmp_path / "out")
    assert sum(1 in s.classes for s in load_split(ref, "train")) == 4


@pytest.mark.parametrize(
    ("classes", "threshold", "expected"),
    [([{0}] * 4, 0.5, [1, 1, 1, 1]), ([{0}, {0}, {0}, {0, 1}], 1.0, [1, 1, 1, 2]), ([], 1, [])],
)
def test_repeat_factors(classes: list[set[int]], threshold: float, expected: list[float]) -> None:
    assert repeat_factors(classes, threshold) == pytest.approx(expected)


def test_resize_shrinks_and_keeps_boxes(tmp_path: Path) -> None:
    file = yolo_set(tmp_path / "own", SPLITS)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(tmp_path / "own/images/train/train000.jpg", 3, size=(200, 100), exif=exif)
    options = Options(out=str(tmp_path / "new"), side=50)
    manifest = run_tool("resize", config("yolo", path=file), options, tmp_path / "w")
    ref = resolve(config("yolo", path=tmp_path / "new/data.yaml"), tmp_path / "out")
    assert ref.fingerprint == manifest["fingerprint"]
    first, second = load_split(ref, "train")[:2]
    assert (first.width, first.height) == (25, 50)
    assert (second.width, second.height) == (50, 38)
    assert np.allclose(second.boxes / 50, [[0.375, 0.19, 0.625, 0.57]])


@pytest.mark.parametrize("command", ["convert", "split", "dedupe", "balance", "resize"])
def test_dry_run_writes_nothing(tmp_path: Path, command: str) -> None:
    file = yolo_set(tmp_path / "own", SPLITS)
    manifest = run_tool(command, config("yolo", path=file), Options(out=str(tmp_path / "new"), dry_run=True), tmp_path)
    assert manifest["dry_run"]
    assert not (tmp_path / "new").exists()


def test_nothing_is_written_over(tmp_path: Path) -> None:
    file = yolo_set(tmp_path / "own", SPLITS)
    for out, to, said in (
        (tmp_path / "own", "yolo", "exists"),
        (tmp_path / "n", "csv", "format"),
        (None, "yolo", "out"),
    ):
        with pytest.raises(UserError, match=said):
            run_tool(
                "convert", config("yolo", path=file), Options(out=str(out) if out else None, to=to), tmp_path / "w"
            )
    assert not (tmp_path / "n").exists()


def test_links_instead_of_copies(tmp_path: Path) -> None:
    file = yolo_set(tmp_path / "own", SPLITS)
    run_tool("convert", config("yolo", path=file), Options(out=str(tmp_path / "new"), link=True), tmp_path / "w")
    assert (tmp_path / "new/images/val/val000.jpg").is_symlink()


@pytest.fixture
def video(tmp_path: Path) -> Path:
    file = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 48))
    for i in range(25):
        writer.write(np.full((48, 64, 3), 10 * i, np.uint8))
    writer.release()
    return file


@pytest.mark.parametrize(("every", "every_s", "numbers"), [(10, None, [0, 10, 20]), (None, 0.8, [0, 8, 16, 24])])
def test_frames(tmp_path: Path, video: Path, every: int | None, every_s: float | None, numbers: list[int]) -> None:
    out = tmp_path / "frames"
    dry = extract_frames(str(video), str(out), every=every, every_s=every_s, dry_run=True)
    assert not out.exists()
    assert [f["frame"] for f in dry["frames"]] == numbers
    done = extract_frames(str(video), str(out), every=every, every_s=every_s, dry_run=False)
    assert [f["frame"] for f in done["frames"]] == numbers
    for row in done["frames"]:
        level = float(np.asarray(Image.open(out / row["file"])).mean())
        assert abs(level - 10 * row["frame"]) < 3
    assert json.loads((out / "manifest.json").read_text()) == done


def test_frames_errors(tmp_path: Path, video: Path) -> None:
    (tmp_path / "text.avi").write_text("no video")
    out = str(tmp_path / "frames")
    for source, every, every_s, said in (
        (None, 1, None, "video is not set"),
        (str(tmp_path / "nope.avi"), 1, None, "does not exist"),
        (str(tmp_path / "text.avi"), 1, None, "can't be read"),
        (str(video), None, None, "either every"),
        (str(video), 1, 1.0, "either every"),
        (str(video), 0, None, "at least 1"),
        (str(video), None, -1.0, "above 0"),
    ):
        with pytest.raises(UserError, match=said):
            extract_frames(source, out, every=every, every_s=every_s, dry_run=False)
    assert not (tmp_path / "frames").exists()


@pytest.mark.parametrize(("kind", "where"), [("yolo", "images/train/new"), ("voc", "new"), ("coco", "a/new")])
def test_nothing_is_written_where_the_dataset_is_read_from(tmp_path: Path, kind: str, where: str) -> None:
    """The next reading found the copies: VOC's were read instead of the originals."""
    folder = tmp_path / "own"
    builders: dict[str, Callable[[Path], None]] = {"yolo": cases.yolo, "voc": cases.voc, "coco": cases.coco}
    builders[kind](folder)
    before = snapshot(folder)
    path = folder / "data.yaml" if kind == "yolo" else folder
    with pytest.raises(UserError, match="out lies within the dataset"):
        run_tool("convert", config(kind, path=path), Options(out=str(folder / where), to="voc"), tmp_path / "w")
    assert snapshot(folder) == before
