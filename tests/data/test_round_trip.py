"""What this program writes, another reads with the same boxes, and the other way round: `supervision` is the judge.

Boxes lie on a grid that its single precision and its five decimals hold exactly, so that a difference is an error.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.data import load_split, resolve
from src.data.tool_plans import Options
from src.data.tools import run_tool
from src.data.types import SPLITS
from tests.data.builders import config, picture

sv = pytest.importorskip("supervision", reason="a development dependency")

WIDE, HIGH = 64, 32
NEAR = 1e-6
NAMES = ["cat", "dog", "eel"]
Boxes = dict[str, list[tuple[Any, ...]]]  # by stem: class, x1, y1, x2, y2


def _drawn() -> dict[str, Boxes]:
    """Random boxes for the pictures of each split: x on 4 px, y on 2 px."""
    rng = np.random.Generator(np.random.PCG64(5))
    splits: dict[str, Boxes] = {}
    for split, count in (("train", 5), ("val", 3), ("test", 3)):
        splits[split] = {}
        for i in range(count):
            rows = []
            for _ in range(int(rng.integers(1, 5))):
                x, y = int(rng.integers(0, 10)) * 4, int(rng.integers(0, 10)) * 2
                w, h = int(rng.integers(1, 6)) * 4, int(rng.integers(1, 6)) * 2
                rows.append((NAMES[int(rng.integers(0, 3))], x, y, x + w, y + h))
            splits[split][f"{split}{i}"] = sorted(set(rows))
    return splits


@pytest.fixture
def drawn(tmp_path: Path) -> dict[str, Boxes]:
    """The boxes, laid out as COCO in tmp_path/own."""
    splits = _drawn()
    for number, (split, images) in enumerate(splits.items()):
        raw: dict[str, list[Any]] = {"images": [], "annotations": [], "categories": []}
        raw["categories"] = [{"id": i + 1, "name": name} for i, name in enumerate(NAMES)]
        for i, (stem, rows) in enumerate(images.items()):
            picture(tmp_path / "own/images" / split / f"{stem}.png", 50 * number + i, size=(WIDE, HIGH))
            raw["images"].append({"id": i, "file_name": f"{stem}.png", "width": WIDE, "height": HIGH})
            for name, x1, y1, x2, y2 in rows:
                own = {"id": len(raw["annotations"]), "image_id": i, "category_id": NAMES.index(name) + 1}
                box = [x1, y1, x2 - x1, y2 - y1]
                raw["annotations"].append({**own, "bbox": box, "area": box[2] * box[3], "iscrowd": 0})
        (tmp_path / "own/annotations").mkdir(exist_ok=True)
        (tmp_path / f"own/annotations/instances_{split}.json").write_text(json.dumps(raw))
    return splits


def _judged(folder: Path, to: str, split: str) -> Any:
    if to == "yolo":
        return sv.DetectionDataset.from_yolo(
            str(folder / "images" / split), str(folder / "labels" / split), str(folder / "data.yaml")
        )
    if to == "coco":
        return sv.DetectionDataset.from_coco(
            str(folder / "images" / split), str(folder / f"annotations/instances_{split}.json")
        )
    return sv.DetectionDataset.from_pascal_voc(str(folder / "JPEGImages"), str(folder / "Annotations"))


def _rows(dataset: Any) -> Boxes:
    found: Boxes = {}
    for path, own in dataset.annotations.items():
        names = [dataset.classes[i] for i in own.class_id]
        boxes = zip(names, np.asarray(own.xyxy, np.float64).tolist(), strict=True)
        found[Path(path).stem] = sorted((name, *box) for name, box in boxes)
    return found


def _equal(found: Boxes, expected: Boxes) -> None:
    assert set(found) >= set(expected)
    for stem, rows in expected.items():
        assert [r[0] for r in found[stem]] == [r[0] for r in rows], stem
        gap = np.abs(np.array([r[1:] for r in found[stem]], float) - np.array([r[1:] for r in rows], float))
        assert gap.max(initial=0) < NEAR, stem


@pytest.mark.parametrize("to", ["yolo", "coco", "voc"])
def test_what_is_written_is_read_by_another(tmp_path: Path, drawn: dict[str, Boxes], to: str) -> None:
    out = tmp_path / "converted"
    run_tool("convert", config("coco", path=tmp_path / "own"), Options(out=str(out), to=to), tmp_path / "out")
    # VOC as published counts from 1, and so does the judge; what is written here counts from 0.
    shift = 1 if to == "voc" else 0
    for split in SPLITS:
        expected: Boxes = {
            stem: [(name, x1 - shift, y1 - shift, x2, y2) for name, x1, y1, x2, y2 in rows]
            for stem, rows in drawn[split].items()
        }
        _equal(_rows(_judged(out, to, split)), expected)


@pytest.mark.parametrize("to", ["yolo", "coco", "voc"])
def test_what_another_writes_is_read(tmp_path: Path, drawn: dict[str, Boxes], to: str) -> None:
    out = tmp_path / "theirs"
    for split in SPLITS:
        dataset = _judged(tmp_path / "own", "coco", split)
        if to == "yolo":
            places = (out / "images" / split, out / "labels" / split, out / "data.yaml")
            dataset.as_yolo(*map(str, places))
        elif to == "coco":
            dataset.as_coco(str(out / "images" / split), str(out / f"annotations/instances_{split}.json"))
        else:
            dataset.as_pascal_voc(str(out / split), str(out / split))
    if to == "yolo":
        keys = "".join(f"{split}: images/{split}\n" for split in SPLITS)
        (out / "data.yaml").write_text((out / "data.yaml").read_text() + keys)
    path = out / "data.yaml" if to == "yolo" else out
    ref = resolve(config(to, path=path, one_based=to == "voc"), tmp_path / "out")
    for split in SPLITS:
        found: Boxes = {}
        for sample in load_split(ref, split):
            boxes = zip((ref.class_names[c] for c in sample.classes.tolist()), sample.boxes.tolist(), strict=True)
            found[Path(sample.image).stem] = sorted((name, *box) for name, box in boxes)
        _equal(found, drawn[split])
        assert set(found) == set(drawn[split])
