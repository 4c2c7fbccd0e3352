"""Small datasets for the tests of the data room, made on the spot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from src.config.schema import DataConfig
from tests import conftest

SIZE = (64, 48)  # width, height, px


def picture(path: Path, seed: int, size: tuple[int, int] = SIZE, **options: Any) -> Path:
    """A smooth random picture, different for every seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.Generator(np.random.PCG64(seed)).integers(0, 256, size=(7, 9, 3)).astype(np.uint8)
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path, **options)
    return path


def yolo_set(
    folder: Path, splits: dict[str, int], names: object = ("cat", "dog"), label: str = "{i} 0.5 0.5 0.25 0.5\n"
) -> Path:
    """A YOLO dataset; image k of a split has one box of class k % 2. Returns its data.yaml."""
    content: dict[str, object] = {"names": list(names) if isinstance(names, tuple) else names}
    for offset, (split, count) in enumerate(splits.items()):
        content[split] = f"images/{split}"
        for i in range(count):
            picture(folder / "images" / split / f"{split}{i:03d}.jpg", 1000 * offset + i)
            text = folder / "labels" / split / f"{split}{i:03d}.txt"
            text.parent.mkdir(parents=True, exist_ok=True)
            text.write_text(label.format(i=i % 2))
    (folder / "data.yaml").write_text(yaml.safe_dump(content))
    return folder / "data.yaml"


def coco_set(folder: Path, splits: dict[str, list[dict[str, object]]]) -> Path:
    """A COCO folder with two images a split; `splits` gives annotations (image_id 1 or 2)."""
    for offset, (split, own) in enumerate(splits.items()):
        rows = []
        for number in (1, 2):
            name = f"{split}{number}.png"
            picture(folder / "images" / split / name, 10 * offset + number)
            rows.append({"id": number, "file_name": name, "width": SIZE[0], "height": SIZE[1]})
        categories = [{"id": 90, "name": "dog"}, {"id": 7, "name": "cat"}]
        file = folder / "annotations" / f"instances_{split}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"images": rows, "annotations": own, "categories": categories}))
    return folder


def box(number: int, bbox: list[float], category: int = 7, image: int = 1, crowd: int = 0) -> dict[str, object]:
    """A COCO annotation."""
    return {"id": number, "image_id": image, "category_id": category, "bbox": bbox, "iscrowd": crowd, "area": 1}


def config(kind: str, **keys: object) -> DataConfig:
    """The `data` group for `kind`."""
    cfg = DataConfig(name=kind, kind=kind)
    for key, value in keys.items():
        assert hasattr(cfg, key)
        setattr(cfg, key, str(value) if isinstance(value, Path) else value)
    return cfg


def coco128() -> Path:
    """The folder with COCO128's photographs; the test is skipped without it."""
    found = conftest.coco128()
    if found is None:
        pytest.skip("needs COCO128: set COCO128_DIR")
    return found


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder with its time and content, to show that nothing was changed."""
    return {str(p): (p.stat().st_mtime_ns, p.read_bytes()) for p in sorted(folder.rglob("*")) if p.is_file()}
