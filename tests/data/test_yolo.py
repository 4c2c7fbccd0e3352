"""A user's YOLO dataset: every way to name splits and classes, and what is refused before training."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import yaml

from src.common.errors import UserError
from src.data import load_split, resolve
from tests.data.builders import SIZE, config, picture, snapshot, yolo_set

SPLITS = {"train": 6, "val": 3, "test": 2}


def _rewrite(file: Path, **keys: object) -> None:
    content = {**yaml.safe_load(file.read_text()), **keys}
    file.write_text(yaml.safe_dump({k: v for k, v in content.items() if v is not None}))


def test_respects_splits_and_links_pixels(tmp_path: Path) -> None:
    file = yolo_set(tmp_path / "own", SPLITS)
    before = snapshot(tmp_path / "own")
    ref = resolve(config("yolo", path=file), tmp_path / "out")
    assert ref.split_sizes == SPLITS
    assert ref.class_names == ["cat", "dog"]
    samples = load_split(ref, "val")
    assert [Path(s.image).name for s in samples] == ["val000.jpg", "val001.jpg", "val002.jpg"]
    assert Path(samples[0].image).is_symlink()
    assert samples[1].classes.tolist() == [1]
    assert (samples[0].width, samples[0].height) == SIZE
    assert np.allclose(samples[0].boxes, [[24, 12, 40, 36]])
    assert snapshot(tmp_path / "own") == before


def test_data_yaml_is_what_ultralytics_reads(tmp_path: Path) -> None:
    ref = resolve(config("yolo", path=yolo_set(tmp_path / "own", SPLITS)), tmp_path / "out")
    content = yaml.safe_load(Path(ref.yaml).read_text())
    assert content["names"] == {0: "cat", 1: "dog"}
    assert (Path(content["path"]) / content["train"] / "train000.jpg").exists()
    assert (Path(content["path"]) / "labels/train/train000.txt").read_text() == "0 0.5 0.5 0.25 0.5\n"


def _as_list(folder: Path, file: Path) -> None:
    (folder / "train.txt").write_text("".join(f"./images/train/train{i:03d}.jpg\n" for i in range(6)))
    _rewrite(file, train="train.txt")


def _as_absolute_list(folder: Path, file: Path) -> None:
    lines = [str(p) + "\n" for p in sorted((folder / "images/train").iterdir())]
    (folder / "train.txt").write_text("".join(lines))
    _rewrite(file, train=[str(folder / "train.txt")])


def _as_two_folders(folder: Path, file: Path) -> None:
    for base in ("images", "labels"):
        (folder / base / "more").mkdir()
        for path in sorted((folder / base / "train").iterdir())[:3]:
            path.rename(folder / base / "more" / path.name)
    _rewrite(file, train=["images/train", "images/more"])


def _as_relative_root(folder: Path, file: Path) -> None:
    (folder / "conf").mkdir()
    file.rename(folder / "conf/data.yaml")
    _rewrite(folder / "conf/data.yaml", path="..")
    file.symlink_to(folder / "conf/data.yaml")
    file.unlink()
    (folder / "conf/data.yaml").rename(file)
    _rewrite(file, path=".")


def _as_roboflow(folder: Path, file: Path) -> None:
    _rewrite(file, train="../images/train", path=None)


VARIANTS: list[Callable[[Path, Path], None]] = [
    _as_list,
    _as_absolute_list,
    _as_two_folders,
    _as_relative_root,
    _as_roboflow,
    lambda folder, file: _rewrite(file, path=str(folder)),
    lambda folder, file: _rewrite(file, path="/another/machine"),
    lambda folder, file: _rewrite(file, names={0: "cat", 1: "dog"}, nc=2),
    lambda folder, file: _rewrite(file, val=None, validation="images/val"),
]


@pytest.mark.parametrize("change", VARIANTS)
def test_every_spelling_gives_the_same_dataset(tmp_path: Path, change: Callable[[Path, Path], None]) -> None:
    plain = resolve(config("yolo", path=yolo_set(tmp_path / "plain", SPLITS)), tmp_path / "out")
    file = yolo_set(tmp_path / "other", SPLITS)
    change(tmp_path / "other", file)
    ref = resolve(config("yolo", path=file), tmp_path / "out")
    assert ref.fingerprint == plain.fingerprint
    assert ref.split_sizes == SPLITS


def test_fingerprint_changes_with_a_label_and_with_a_pixel(tmp_path: Path) -> None:
    file = yolo_set(tmp_path / "own", SPLITS)
    first = resolve(config("yolo", path=file), tmp_path / "out").fingerprint
    (tmp_path / "own/labels/val/val000.txt").write_text("0 0.5 0.5 0.25 0.50001\n")
    second = resolve(config("yolo", path=file), tmp_path / "out").fingerprint
    picture(tmp_path / "own/images/val/val000.jpg", 77)
    third = resolve(config("yolo", path=file), tmp_path / "out").fingerprint
    assert len({first, second, third}) == 3


def test_a_pickle_cache_beside_the_labels_is_never_read(tmp_path: Path) -> None:
    file = yolo_set(tmp_path / "own", SPLITS)
    clean = resolve(config("yolo", path=file), tmp_path / "out")
    (tmp_path / "own/labels/train.cache").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    ref = resolve(config("yolo", path=file), tmp_path / "out")
    assert ref == clean
    assert not list(Path(ref.yaml).parent.rglob("*.cache"))


def test_missing_splits_are_made_and_said(tmp_path: Path) -> None:
    ref = resolve(config("yolo", path=yolo_set(tmp_path / "own", {"train": 20})), tmp_path / "out")
    assert ref.split_sizes == {"train": 14, "val": 3, "test": 3}
    assert any("seeded" in w for w in ref.warnings)
    moved = resolve(config("yolo", path=yolo_set(tmp_path / "moved", {"train": 20})), tmp_path / "out2")
    assert moved.fingerprint == ref.fingerprint


def test_train_without_val_keeps_test(tmp_path: Path) -> None:
    ref = resolve(config("yolo", path=yolo_set(tmp_path / "own", {"train": 20, "test": 4})), tmp_path / "out")
    assert ref.split_sizes == {"train": 17, "val": 3, "test": 4}


def test_without_test_nothing_is_taken_away(tmp_path: Path) -> None:
    ref = resolve(config("yolo", path=yolo_set(tmp_path / "own", {"train": 6, "val": 3})), tmp_path / "out")
    assert ref.split_sizes == {"train": 6, "val": 3, "test": 0}
    assert any("optimistic" in w for w in ref.warnings)
    assert load_split(ref, "test") == []


def test_val_that_is_train_is_split(tmp_path: Path) -> None:
    file = yolo_set(tmp_path / "own", {"train": 20})
    _rewrite(file, val="images/train")
    ref = resolve(config("yolo", path=file), tmp_path / "out")
    assert ref.split_sizes == {"train": 14, "val": 3, "test": 3}


BAD_YAML = [
    ("", "expected keys"),
    ("names: [a\ntrain: x", "not valid YAML"),
    ("- a\n- b", "expected keys"),
    ("train: images/train\nval: images/val\n", "names"),
    ("names: []\ntrain: images/train\n", "names"),
    ("names: {0: a, 2: b}\ntrain: images/train\n", "0, 1, 2"),
    ("names: [a, b]\nnc: 3\ntrain: images/train\n", "nc"),
    ("names: [a, b]\n", "train, val, test"),
    ("names: [a, b]\ntrain: images/nowhere\n", "does not exist"),
    ("names: [a, b]\ntrain: {a: b}\n", "path or a list"),
    ("names: [a, b]\ntrain: labels\n", "no images"),
    ("names: &a [*a]\ntrain: images/train\n", "names"),
    ("\x00\x01", "not UTF-8 text"),
    ("\x01", "not valid YAML"),
]


@pytest.mark.parametrize(("text", "said"), BAD_YAML)
def test_bad_yaml_is_a_user_error(tmp_path: Path, text: str, said: str) -> None:
    file = yolo_set(tmp_path / "own", SPLITS)
    file.write_text(text)
    with pytest.raises(UserError, match=said):
        resolve(config("yolo", path=file), tmp_path / "out")


def test_missing_path(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        resolve(config("yolo", path=tmp_path / "nowhere.yaml"), tmp_path / "out")
    with pytest.raises(UserError, match=r"data\.path is not set"):
        resolve(config("yolo"), tmp_path / "out")


def test_a_dataset_without_any_label(tmp_path: Path) -> None:
    file = yolo_set(tmp_path / "own", SPLITS, label="")
    with pytest.raises(UserError, match="no image has a box"):
        resolve(config("yolo", path=file), tmp_path / "out")


def test_names_that_collide_stay_apart(tmp_path: Path) -> None:
    file = yolo_set(tmp_path / "own", SPLITS)
    for part, seed in (("a", 1), ("b", 2)):
        picture(tmp_path / f"own/images/train/{part}/same name.jpg", 500 + seed)
    ref = resolve(config("yolo", path=file), tmp_path / "out")
    assert ref.split_sizes["train"] == 8
    assert len({s.image for s in load_split(ref, "train")}) == 8


def test_unchanged_source_writes_nothing(tmp_path: Path) -> None:
    file = yolo_set(tmp_path / "own", SPLITS)
    ref = resolve(config("yolo", path=file), tmp_path / "out")
    before = {p: p.lstat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}
    assert resolve(config("yolo", path=file), tmp_path / "out") == ref
    assert {p: p.lstat().st_mtime_ns for p in (tmp_path / "out").rglob("*")} == before


def _resolve(file: str, root: str) -> str:
    return resolve(config("yolo", path=file), Path(root)).fingerprint


def test_several_processes_at_once(tmp_path: Path) -> None:
    file = yolo_set(tmp_path / "own", SPLITS)
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        found = {job.result() for job in [pool.submit(_resolve, str(file), str(tmp_path / "out")) for _ in range(6)]}
    assert len(found) == 1
    folders = [p.name for p in (tmp_path / "out/datasets").iterdir() if not p.name.startswith(".")]
    assert len(folders) == 1
