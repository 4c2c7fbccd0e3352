"""LVIS v1 and Objects365 v2 as they are published: what differs from COCO."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from src.data.coco import read_coco
from src.data.lvis import picture_name
from tests.data.builders import box, picture

ADDRESS = "http://images.cocodataset.org/{}/{}.jpg"


def lvis(folder: Path, splits: dict[str, list[str]]) -> Path:
    """LVIS v1: no `file_name`, no `iscrowd`; `splits` gives the COCO folder of each picture."""
    for split, folders in splits.items():
        images: list[dict[str, Any]] = []
        for number, own in enumerate(folders, start=1):
            name = f"{split}{number:09d}"
            picture(folder / own / f"{name}.jpg", number)
            partial = {"neg_category_ids": [3], "not_exhaustive_category_ids": []}
            images.append({"id": number, "coco_url": ADDRESS.format(own, name), "width": 64, "height": 48, **partial})
        rows = [{k: v for k, v in box(n, [1, 2, 30, 20], 1, n).items() if k != "iscrowd"} for n in (1, 2)]
        categories = [{"id": 1, "name": "aerosol_can", "frequency": "c", "synset": "aerosol.n.02"}]
        file = folder / "annotations" / f"lvis_v1_{split}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"images": images, "annotations": rows, "categories": categories}))
    return folder


def test_lvis_names_pictures_by_address_and_val_has_pictures_of_cocos_train(tmp_path: Path) -> None:
    data = read_coco(lvis(tmp_path, {"train": ["train2017"] * 2, "val": ["train2017", "val2017"]}))
    places = {(item.split, item.image.relative_to(tmp_path).parts[0]): len(item.classes) for item in data.items}
    assert places == {("train", "train2017"): 1, ("val", "train2017"): 1, ("val", "val2017"): 1}
    assert not [finding for finding in data.findings if finding.level == "error"]
    told = [finding.message for finding in data.findings if finding.code == "labels-partial"]
    assert len(told) == 2, "once a file"
    assert told[0].startswith("in 2 images only some classes were looked for")


def test_a_file_that_begins_with_many_annotations_is_known_as_coco(tmp_path: Path) -> None:
    """As LVIS writes them: polygons fill the beginning, and the list of images comes at the end."""
    folder = lvis(tmp_path, {"train": ["train2017"] * 2})
    file = folder / "annotations" / "lvis_v1_train.json"
    content = json.loads(file.read_text())
    content["annotations"][0]["segmentation"] = [[0.125] * 20_000]
    file.write_text(json.dumps({key: content[key] for key in ("annotations", "images", "categories")}))
    assert len(read_coco(folder).items) == 2


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"file_name": "a.jpg", "coco_url": ADDRESS.format("val2017", "b")}, "a.jpg"),
        ({"coco_url": ADDRESS.format("val2017", "b")}, "val2017/b.jpg"),
        ({"coco_url": "http://x/../../../etc/passwd"}, "etc/passwd"),
        ({"coco_url": "http://x/../b.jpg"}, "b.jpg"),
        ({"coco_url": "http://[/b.jpg"}, ""),
        ({"coco_url": 3}, ""),
        ({}, ""),
    ],
)
def test_a_name_is_the_files_or_the_addresss(row: dict[str, Any], name: str) -> None:
    assert picture_name(row) == name


def test_objects365_names_patches_and_keeps_its_ids(tmp_path: Path) -> None:
    names = ["images/v1/patch8/objects365_v1_00420917.jpg", "images/v2/patch20/objects365_v2_00900001.jpg"]
    for split, offset in (("train", 0), ("val", 10)):
        images = []
        for number, name in enumerate(names, start=1):
            own = Path(name)
            picture(tmp_path / split / own.parent.name / f"{split}_{own.name}", number + offset)
            text = str(own.parent / f"{split}_{own.name}")
            images.append({"id": number, "file_name": text, "width": 64, "height": 48, "license": 5})
        boxes = [box(1, [1, 2, 30, 20], 365, 1), box(2, [1, 2, 30, 20], 1, 2, crowd=1)]
        kinds = [{"id": 1, "name": "Person"}, {"id": 365, "name": "Asparagus"}]
        content = {"images": images, "annotations": boxes, "categories": kinds}
        (tmp_path / f"zhiyuan_objv2_{split}.json").write_text(json.dumps(content))
    data = read_coco(tmp_path)
    assert data.category_ids == [1, 365]
    assert [len(item.classes) for item in data.items] == [1, 0, 1, 0]
    assert [len(item.ignored) for item in data.items] == [0, 1, 0, 1], "crowds are regions to ignore"
    assert not [finding for finding in data.findings if finding.level == "error"]
