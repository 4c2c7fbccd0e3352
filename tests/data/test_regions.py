"""Annotated areas and regions to ignore: from the source to the samples, and through the tools."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from src.common.errors import UserError
from src.data import load_split, resolve
from src.data.tool_plans import Options
from src.data.tools import run_tool
from src.data.voc import voc_xml
from src.records.schema import DatasetRef
from tests.data.builders import SIZE, box, coco_set, config, picture

PLAIN = [box(1, [1, 2, 8, 6])]


def coco(folder: Path, areas: dict[int, object], crowd: int = 0) -> Path:
    """Two boxes of 10 x 12 and 20 x 20 px on the first picture, and a region; `areas` by annotation id."""
    rows = [box(1, [4, 5, 10, 12]), box(2, [20, 20, 20, 20]), box(3, [0, 0, 64, 48], crowd=crowd)]
    for row in rows:
        row.pop("area")
        if row["id"] in areas:
            row["area"] = areas[int(str(row["id"]))]
    return coco_set(folder, {"train": PLAIN, "val": rows if crowd else rows[:2]})


def val(ref: DatasetRef) -> np.ndarray:
    return load_split(ref, "val")[0].areas


def test_an_annotated_area_is_kept_to_the_digit_and_another_is_that_of_the_box(tmp_path: Path) -> None:
    ref = resolve(config("coco", path=coco(tmp_path / "coco", {1: 77.123456789012})), tmp_path / "out")
    areas = val(ref)
    assert areas[0] == 77.123456789012
    assert areas[1] == pytest.approx(400)
    assert resolve(config("coco", path=coco(tmp_path / "coco", {1: 77.123456789012})), tmp_path / "out") == ref


@pytest.mark.parametrize("area", [0, -3, "12", None, True, float("nan"), float("inf"), 10**400, [1]])
def test_an_area_that_no_object_has_counts_as_none(tmp_path: Path, area: object) -> None:
    ref = resolve(config("coco", path=coco(tmp_path / "coco", {1: area})), tmp_path / "out")
    assert val(ref) == pytest.approx([120, 400])


def test_areas_make_another_folder_of_the_same_fingerprint(tmp_path: Path) -> None:
    sets: list[dict[int, object]] = [{}, {1: 60}, {1: 61}]
    refs = [resolve(config("coco", path=coco(tmp_path / "coco", areas)), tmp_path / "out") for areas in sets]
    assert len({ref.yaml for ref in refs}) == 3
    assert len({ref.fingerprint for ref in refs}) == 1
    assert [val(ref)[0] for ref in refs] == pytest.approx([120, 60, 61])


def test_a_repeated_box_takes_its_area_along(tmp_path: Path) -> None:
    rows = [box(1, [4, 5, 10, 12]), box(2, [4, 5, 10, 12]), box(3, [20, 20, 20, 20])]
    rows = [{**row, "area": area} for row, area in zip(rows, (50, 50, 300), strict=True)]
    ref = resolve(config("coco", path=coco_set(tmp_path / "coco", {"train": PLAIN, "val": rows})), tmp_path / "out")
    assert val(ref).tolist() == [50, 300]


def test_damaged_areas_are_noticed(tmp_path: Path) -> None:
    cfg = config("coco", path=coco(tmp_path / "coco", {1: 60}))
    ref = resolve(cfg, tmp_path / "out")
    file = Path(ref.yaml).parent / "areas" / "val.json"
    whole = file.read_text()
    assert json.loads(whole) == {"val1.png": [60.0, None]}
    file.write_text(whole.replace("60", "61"))
    with pytest.raises(UserError, match="it was changed"):
        load_split(ref, "val")
    assert resolve(cfg, tmp_path / "out") == ref
    assert file.read_text() == whole, "the folder was made again"


def test_crowds_and_difficult_objects_are_told_apart(tmp_path: Path) -> None:
    crowd = resolve(config("coco", path=coco(tmp_path / "coco", {}, crowd=1)), tmp_path / "out")
    sample = load_split(crowd, "val")[0]
    assert sample.ignored_crowd.tolist() == [True]
    sample = load_split(resolve(config("voc", path=voc_set(tmp_path / "voc")), tmp_path / "out"), "val")[0]
    assert sample.ignored_crowd.tolist() == [False]
    assert np.allclose(sample.ignored, [[20, 20, 40, 40]])
    assert sample.areas == pytest.approx([120])


def voc_set(voc: Path) -> Path:
    """A picture a split, with an object at 4, 5, 14, 17 and a difficult one at 20, 20, 40, 40 px."""
    for i, split in enumerate(("train", "val")):
        picture(voc / "JPEGImages" / f"{split}.jpg", i)
        objects = [("cat", (4.0, 5.0, 14.0, 17.0), False), ("cat", (20.0, 20.0, 40.0, 40.0), True)]
        (voc / "Annotations").mkdir(exist_ok=True)
        (voc / "Annotations" / f"{split}.xml").write_text(voc_xml(f"{split}.jpg", SIZE, objects))
        (voc / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
        (voc / "ImageSets" / "Main" / f"{split}.txt").write_text(f"{split}\n")
    return voc


def test_a_folder_prepared_by_an_earlier_version_still_loads(tmp_path: Path) -> None:
    """Its index says nothing of areas; its regions were crowds as far as it knew."""
    ref = resolve(config("coco", path=coco(tmp_path / "coco", {1: 60}, crowd=1)), tmp_path / "out")
    file = Path(ref.yaml).with_name("index.json")
    index = json.loads(file.read_bytes())
    del index["areas"]
    file.write_text(json.dumps(index))
    sample = load_split(ref, "val")[0]
    assert sample.areas == pytest.approx([120, 400])
    assert sample.ignored_crowd.tolist() == [True]


def test_conversion_keeps_annotated_areas_and_resizing_scales_them(tmp_path: Path) -> None:
    cfg = config("coco", path=coco(tmp_path / "coco", {1: 60.5}, crowd=1))
    run_tool("convert", cfg, Options(out=str(tmp_path / "again"), to="coco"), tmp_path / "work")
    rows = json.loads((tmp_path / "again/annotations/instances_val.json").read_text())["annotations"]
    assert [row["iscrowd"] for row in rows] == [0, 0, 1]
    assert [row["area"] for row in rows] == pytest.approx([60.5, 400, 64 * 48])
    run_tool("resize", cfg, Options(out=str(tmp_path / "half"), to="coco", side=32), tmp_path / "work")
    rows = json.loads((tmp_path / "half/annotations/instances_val.json").read_text())["annotations"]
    assert [row["area"] for row in rows] == pytest.approx([60.5 / 4, 100, 32 * 24])
