"""COCO folders, COCO128 and tiny_person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from src.common.errors import UserError
from src.data import coco128 as coco128_source
from src.data import load_split, resolve
from tests.data.builders import box, coco128, coco_set, config, snapshot


def _two(tmp_path: Path) -> Path:
    train = [box(1, [4, 5, 10.5, 12.25]), box(2, [1, 1, 9, 9], category=90), box(3, [0, 0, 64, 48], crowd=1)]
    val = [box(1, [2, 3, 20, 20], image=2, category=90), box(2, [1, 3, 20, 20])]
    return coco_set(tmp_path / "coco", {"train": train, "val": val})


def test_coco_ids_crowds_and_backgrounds(tmp_path: Path) -> None:
    ref = resolve(config("coco", path=_two(tmp_path)), tmp_path / "out")
    assert ref.class_names == ["cat", "dog"]  # by category id: 7, then 90
    first, second = load_split(ref, "train")
    assert first.classes.tolist() == [0, 1]
    assert np.abs(first.boxes - [[4, 5, 14.5, 17.25], [1, 1, 10, 10]]).max() < 1e-9
    assert np.allclose(first.ignored, [[0, 0, 64, 48]])
    assert len(second.classes) == 0
    assert ref.split_sizes == {"train": 2, "val": 2, "test": 0}


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        (box(9, [1, 1, 5, 5], category=8), "category_id 8"),
        (box(9, [1, 1, 5, 5], image=8), "image_id 8"),
        (box(9, [1, 1, -5, 5]), "negative"),
        (box(9, [1, 1, 0, 5]), "no area"),
        (box(9, [1, 1, float("nan"), 5]), "not finite"),
        (box(9, [1, 1, 5]), "bbox"),
        (box(9, [1, 1, 500, 5]), "outside"),
    ],
)
def test_coco_errors_name_the_file(tmp_path: Path, annotation: dict[str, object], said: str) -> None:
    other = box(1, [1, 1, 5, 5], image=2)
    folder = coco_set(tmp_path / "coco", {"train": [other, annotation], "val": [box(1, [1, 1, 5, 5])]})
    with pytest.raises(UserError, match=said) as caught:
        resolve(config("coco", path=folder), tmp_path / "out")
    assert "instances_train.json" in str(caught.value)
    ref = resolve(config("coco", path=folder, on_error="skip"), tmp_path / "out2")
    assert any(w.startswith("left out: ") and "instances_train.json" in w for w in ref.warnings)


def test_coco_without_annotations_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no annotation file"):
        resolve(config("coco", path=tmp_path), tmp_path / "out")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/instances_train.json").write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        resolve(config("coco", path=tmp_path), tmp_path / "out")


def test_tiny_person_is_the_same_every_time(tmp_path: Path) -> None:
    source = coco128()
    before = {p: p.stat().st_mtime_ns for p in source.rglob("*")}
    sizes = {"n_train": 40, "n_val": 10, "n_test": 10}
    ref = resolve(config("tiny_person", source=source, **sizes), tmp_path / "a")
    again = resolve(config("tiny_person", source=source, **sizes), tmp_path / "b")
    assert ref.fingerprint == again.fingerprint
    assert ref.split_sizes == {"train": 40, "val": 10, "test": 10}
    assert ref.class_names == ["person"]
    for split in ("train", "val", "test"):
        assert all(len(s.classes) and not s.classes.any() for s in load_split(ref, split))
    smaller = resolve(config("tiny_person", source=source, n_train=6, n_val=10, n_test=10), tmp_path / "a")
    assert [Path(s.image).name for s in load_split(smaller, "val")] == [
        Path(s.image).name for s in load_split(ref, "val")
    ]
    assert {p: p.stat().st_mtime_ns for p in source.rglob("*")} == before


def test_tiny_person_too_large(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="images with a person"):
        resolve(config("tiny_person", source=coco128(), n_train=60, n_val=10, n_test=10), tmp_path)


def test_coco128_is_split_by_class(tmp_path: Path) -> None:
    ref = resolve(config("coco128", source=coco128()), tmp_path)
    assert ref.split_sizes == {"train": 90, "val": 19, "test": 19}
    assert len(ref.class_names) == 80
    holding = {s: sum(0 in x.classes for x in load_split(ref, s)) / ref.split_sizes[s] for s in ref.split_sizes}
    assert max(holding.values()) - min(holding.values()) < 0.06


def test_source_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COCO128_DIR", raising=False)
    monkeypatch.setattr(coco128_source, "URL", (tmp_path / "no network").as_uri())
    with pytest.raises(UserError, match=r"data\.source"):
        resolve(config("tiny_person"), tmp_path)
    with pytest.raises(UserError, match=r"data\.source"):
        resolve(config("coco128", source=tmp_path), tmp_path)


def test_four_roles(tmp_path: Path) -> None:
    ref = resolve(config("coco128", source=coco128(), n_calibration=30), tmp_path)
    train = {s.image for s in load_split(ref, "train")}
    calibration = {s.image for s in load_split(ref, "calibration")}
    assert len(calibration) == 30
    assert calibration < train
    listed = Path(ref.yaml).with_name("calibration.txt").read_text().split()
    assert set(listed) == calibration
    with pytest.raises(UserError, match="does not exist"):
        load_split(ref, "nonsense")


def test_fraction(tmp_path: Path) -> None:
    ref = resolve(config("coco128", source=coco128(), fraction=0.2), tmp_path)
    assert ref.split_sizes == {"train": 18, "val": 4, "test": 4}


def test_check_leaves_the_source_alone(tmp_path: Path) -> None:
    folder = _two(tmp_path)
    before = snapshot(folder)
    resolve(config("coco", path=folder), tmp_path / "out")
    assert snapshot(folder) == before
