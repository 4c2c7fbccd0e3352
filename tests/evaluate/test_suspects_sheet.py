"""The sheet of a sweep: what its trials saw, the user's own file names, and no picture of a secret dataset."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from src.common import encryption
from src.common.errors import UserError
from src.data import load_split, resolve
from src.evaluate.suspects import suspects
from src.evaluate.suspects_of_sweep import suspects_of_sweep
from src.evaluate.suspects_sheet import Checked, write_sheet
from src.records.schema import DatasetRef
from src.records.sweep_folder import SweepFolder
from tests.data.builders import config, yolo_set
from tests.evaluate.scenes import Scene
from tests.evaluate.test_sweep import save_detections
from tests.report.factory import Sweep, trial


@pytest.fixture
def dataset(tmp_path: Path) -> DatasetRef:
    path = yolo_set(tmp_path / "mine", {"train": 2, "val": 6}, names=("cat", "<dog>"))
    return resolve(config("yolo", path=path), tmp_path / "o")


def seen(ref: DatasetRef, *, wrong: int) -> list[Scene]:
    """Detections that agree with the labels of val, but for one image that is called by the other class."""
    samples = load_split(ref, "val")
    classes = [np.where(i == wrong, 1 - s.classes, s.classes) for i, s in enumerate(samples)]
    return [Scene(s.boxes, c, np.full(len(c), 0.9)) for s, c in zip(samples, classes, strict=True)]


def sweep_of(ref: DatasetRef, tmp_path: Path, scores: tuple[float, ...] = (0.5,)) -> Path:
    trials = [replace(trial(i, seed=i, score=score), dataset=ref) for i, score in enumerate(scores)]
    folder = Sweep(trials, []).write(tmp_path / "sweeps")
    for number in range(len(scores)):
        file = SweepFolder(folder).trial(number).detections / "val-pytorch-pytorch-fp32.npz"
        save_detections(file, seen(ref, wrong=number))
    return folder


def listed(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "suspects" / "suspects.json").read_text())
    return found


def test_the_sheet_names_the_users_file_and_shows_it(dataset: DatasetRef, tmp_path: Path) -> None:
    folder, said = sweep_of(dataset, tmp_path), list[str]()
    page = suspects_of_sweep(folder, "val", 5, said.append)
    (row,) = listed(folder)["suspects"]
    assert (row["kind"], row["label"], row["seen"]) == ("class", "cat", "<dog>")
    assert row["image"] == str(tmp_path / "mine" / "images" / "val" / "val000.jpg")
    text = page.read_text()
    assert "labelled cat, seen as &lt;dog&gt;" in text
    assert "<dog>" not in text
    picture = text.split('src="data:image/jpeg;base64,')[1].split('"')[0]
    image = cv2.imdecode(np.frombuffer(base64.b64decode(picture), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert max(image.shape) == 320
    assert any("suspects.html" in line for line in said)
    assert len(listed(folder)["hard"]) == 1


def test_networks_that_are_far_below_the_best_are_no_judges(dataset: DatasetRef, tmp_path: Path) -> None:
    folder = sweep_of(dataset, tmp_path, (0.5, 0.45, 0.1))
    suspects_of_sweep(folder, "val", 5, lambda text: None)
    assert "2 networks" in listed(folder)["about"]
    names = [Path(row["image"]).stem for row in listed(folder)["suspects"]]
    assert names == ["val000", "val001"], "the third would have named another"


@pytest.mark.parametrize(("split", "says"), [("train", "trained on"), ("test", "no trial")])
def test_a_split_that_no_trial_can_judge_is_refused(dataset: DatasetRef, tmp_path: Path, split: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        suspects_of_sweep(sweep_of(dataset, tmp_path), split, 5, lambda text: None)


def test_no_picture_of_an_encrypted_dataset_is_in_the_sheet(dataset: DatasetRef, tmp_path: Path) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(encryption.MAGIC + b"x" * 99)
    samples = [replace(s, image=str(secret)) for s in load_split(dataset, "val")]
    found, hard = suspects([seen(dataset, wrong=0)], samples, 2)
    write_sheet(tmp_path, [Checked(samples, dataset.class_names, ["a"] * 6, found, hard)], 5, "about")
    text = (tmp_path / "suspects.html").read_text()
    assert "data:image" not in text
    assert "encrypted: no picture" in text
