"""Folds: every image is in val once, twins stay together, test takes no part."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from src.common.errors import UserError
from src.data.__main__ import run
from src.data.options import DatasetArgs
from tests.data.builders import config, yolo_set


def stems(folder: Path, split: str) -> set[str]:
    return {p.stem for p in (folder / "images" / split).iterdir()}


def test_every_image_is_in_val_once_and_twins_in_the_same_fold(tmp_path: Path) -> None:
    path = yolo_set(tmp_path / "own", {"train": 8, "val": 4, "test": 3})
    for name in ("images", "labels"):
        suffix = "jpg" if name == "images" else "txt"
        folder = tmp_path / "own" / name / "train"
        shutil.copy(folder / f"train000.{suffix}", folder / f"train100.{suffix}")
    args = DatasetArgs(command="folds", data=config("yolo", path=path), out=str(tmp_path / "f"), folds=3)
    args.outputs = str(tmp_path / "o")
    assert run(args) == 0
    folds = sorted((tmp_path / "f").iterdir())
    vals = [stems(f, "val") for f in folds]
    assert [f.name for f in folds] == ["fold1", "fold2", "fold3"]
    assert sum(map(len, vals)) == len(set.union(*vals)) == 13
    assert all(stems(f, "train") == set.union(*vals) - val for f, val in zip(folds, vals, strict=True))
    assert not any("test" in name for name in set.union(*vals))
    assert sum({"train000", "train100"} <= val for val in vals) == 1
    assert max(map(len, vals)) - min(map(len, vals)) <= 2


@pytest.mark.parametrize(("folds", "says"), [(1, "2 to 20"), (9, "too few")])
def test_numbers_of_folds_that_make_no_sense_are_refused(folds: int, says: str, tmp_path: Path) -> None:
    data = config("yolo", path=yolo_set(tmp_path / "own", {"train": 4, "val": 2}))
    with pytest.raises(UserError, match=says):
        run(DatasetArgs(command="folds", data=data, out=str(tmp_path / "f"), folds=folds, outputs=str(tmp_path / "o")))
    assert not (tmp_path / "f").exists()
