"""A COCO folder with crowds and outlines, through the data room and the saved truths: the reference's figures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from src.data import load_split, resolve
from src.evaluate import Metrics, evaluate_in_depth, load_ground_truth
from src.evaluate.in_depth import Subject
from src.evaluate.matching import Floats, Ints
from src.pipeline import accuracy
from src.pipeline.context import Context
from src.records.schema import Artifact, DatasetRef, EvaluationRecord
from src.records.sweep_folder import SweepFolder
from src.track import NullTracker
from tests.data.builders import config, picture
from tests.data.test_regions import voc_set
from tests.evaluate.scenes import Scene, judged_by_reference, random_boxes, xywh
from tests.evaluate.test_coco128 import CLASSES, detections_of
from tests.evaluate.test_sweep import save_detections

NAMES = ("AP-small", "AP-medium", "AP-large", "AR@1", "AR@10", "AR@100", "AR-small", "AR-medium", "AR-large")


@dataclass(frozen=True)
class Photo:
    """A picture with its boxes in px."""

    path: Path
    size: tuple[int, int]
    boxes: Floats
    classes: Ints


def real(folder: Path) -> list[Photo]:
    """COCO128's photographs with their boxes; what the data room counts once is there once."""
    found = []
    for path in sorted(folder.glob("images/*/*.jpg")):
        labels = folder / "labels" / path.parent.name / f"{path.stem}.txt"
        if labels.is_file():
            with Image.open(path) as image:
                size = image.size
            rows = np.unique(np.loadtxt(labels, ndmin=2).reshape(-1, 5), axis=0)
            corners = np.hstack([rows[:, 1:3] - rows[:, 3:] / 2, rows[:, 1:3] + rows[:, 3:] / 2]) * [*size, *size]
            found.append(Photo(path, size, corners, rows[:, 0].astype(np.int64)))
    return found


def made(folder: Path) -> list[Photo]:
    """Pictures with many objects of few classes."""
    rng, side = np.random.default_rng(5), 480
    return [
        Photo(
            picture(folder / f"{i:02d}.png", i, (side, side)),
            (side, side),
            random_boxes(rng, n, side),
            rng.integers(0, 3, n),
        )
        for i, n in enumerate(rng.integers(3, 12, 24).tolist())
    ]


def polygon(box: Floats) -> tuple[list[float], float]:
    """An octagon in the box, as COCO draws outlines, and its area (the corners cut off at a quarter of the sides)."""
    x1, y1, x2, y2 = box.tolist()
    u, v = (x2 - x1) / 4, (y2 - y1) / 4
    outline = [x1 + u, y1, x2 - u, y1, x2, y1 + v, x2, y2 - v, x2 - u, y2, x1 + u, y2, x1, y2 - v, x1, y1 + v]
    return outline, (x2 - x1) * (y2 - y1) - 2 * u * v


def run_lengths(mask: npt.NDArray[np.bool_]) -> list[int]:
    """COCO's uncompressed run lengths: column by column, zeros first."""
    flat = np.r_[False, mask.T.ravel()]
    changes = np.flatnonzero(np.diff(flat))
    return [int(n) for n in np.diff(np.r_[0, changes, mask.size])]


def crowd_of(boxes: Floats, size: tuple[int, int]) -> dict[str, Any]:
    """One crowd over several objects: the union of ellipses in their boxes, as run lengths."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]] + 0.5
    mask = np.zeros(x.shape, dtype=bool)
    for x1, y1, x2, y2 in boxes.tolist():
        mask |= ((2 * x - x1 - x2) / (x2 - x1)) ** 2 + ((2 * y - y1 - y2) / (y2 - y1)) ** 2 <= 1
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    left, top = int(columns[0]), int(rows[0])
    bbox = [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top]
    counts = {"counts": run_lengths(mask), "size": [size[1], size[0]]}
    return {"bbox": bbox, "area": int(mask.sum()), "iscrowd": 1, "segmentation": counts}


def annotate(photo: Photo) -> list[dict[str, Any]]:
    """Objects with outlines; of three and more of one class, the last ones are annotated as a crowd, as COCO does."""
    rows: list[dict[str, Any]] = []
    for c in np.unique(photo.classes).tolist():
        own = photo.boxes[photo.classes == c]
        alone, together = (own[:1], own[1:]) if len(own) >= 3 else (own, own[:0])
        for box in alone:
            outline, area = polygon(box)
            rows.append({"category_id": c, "bbox": xywh(box), "area": area, "iscrowd": 0, "segmentation": [outline]})
        if len(together):
            rows.append({"category_id": c, **crowd_of(together, photo.size)})
    return rows


def write(folder: Path, split: str, photos: list[Photo], n_classes: int) -> dict[str, Any]:
    """A split of a COCO folder; category ids have holes."""
    (folder / "images" / split).mkdir(parents=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, photo in enumerate(photos, start=1):
        (folder / "images" / split / photo.path.name).symlink_to(photo.path)
        images.append({"id": number, "file_name": photo.path.name, "width": photo.size[0], "height": photo.size[1]})
        for row in annotate(photo):
            own = {"id": len(annotations) + 1, "image_id": number, "category_id": 2 * row["category_id"] + 1}
            annotations.append({**row, **own})
    categories = [{"id": 2 * c + 1, "name": f"c{c}"} for c in range(n_classes)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    file = folder / "annotations" / f"instances_{split}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(content))
    return content


def reference(content: dict[str, Any], detections: list[Scene]) -> Any:
    """The reference's figures of the annotation file as it lies there, category ids and all."""
    renumbered = [{**a, "category_id": (a["category_id"] + 1) // 2} for a in content["annotations"]]
    categories = [{**c, "id": (c["id"] + 1) // 2} for c in content["categories"]]
    return judged_by_reference({**content, "annotations": renumbered, "categories": categories}, detections).stats


def evaluated(
    ref: DatasetRef, found: list[Scene], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Metrics, EvaluationRecord]:
    """The pipeline's metrics, and the evaluation in depth from the files that it saved."""

    def predict(*_: Any, out: Path, **__: Any) -> Path:
        save_detections(out, found)
        return out

    monkeypatch.setattr(accuracy, "predict", predict)
    monkeypatch.setattr(accuracy, "device_of", lambda cfg: "cpu")
    context = Context("sweep", tmp_path / "sweep", tmp_path, NullTracker(), "", 1)
    cfg: Any = SimpleNamespace(model=SimpleNamespace(trust=False), data=SimpleNamespace(group=None), tiling=None)
    artifact = Artifact("onnx", "fp32", "m.onnx", "a" * 64, 1, [1, 3, 32, 32], 1.0, "b" * 64)
    metrics, _ = accuracy.evaluate_artifact(artifact, "onnxruntime", ref, "val", cfg, context, tmp_path / "sweep")
    ground_truths = load_ground_truth(SweepFolder(tmp_path / "sweep").ground_truth(ref.fingerprint, "val"))
    subject = Subject("s", 0, "r", "onnx", "fp32", "a" * 64, "onnxruntime", "val", ref.fingerprint, ref.class_names)
    return metrics, evaluate_in_depth(subject, found, ground_truths, resamples=5)


@pytest.mark.parametrize("source", ["made", "photographs"])
def test_a_coco_folder_with_crowds_gives_the_references_figures(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    photos = made(tmp_path) if source == "made" else real(request.getfixturevalue("coco128_dir"))
    n_classes = 3 if source == "made" else CLASSES
    train, val = photos[:4], photos[4:]
    write(tmp_path / "coco", "train", train, n_classes)
    content = write(tmp_path / "coco", "val", val, n_classes)
    crowds = sum(a["iscrowd"] for a in content["annotations"])
    assert crowds >= 10
    ref = resolve(config("coco", path=tmp_path / "coco"), tmp_path / "out")
    assert sum(len(s.ignored) for s in load_split(ref, "val")) == crowds
    shown = [Scene(p.boxes, p.classes, np.ones(len(p.classes))) for p in val]
    found = [
        Scene(f.boxes, np.minimum(f.classes, n_classes - 1), f.scores) for f in detections_of(shown, 3, tied=False)
    ]
    metrics, record = evaluated(ref, found, tmp_path, monkeypatch)
    stats = reference(content, found)
    assert 0.1 < stats[0] < 0.9
    for name, value, want in zip(
        ("mAP50-95", "mAP50", "mAP75"), (metrics.map50_95, metrics.map50, metrics.map75), stats[:3], strict=True
    ):
        assert value == pytest.approx(want, abs=1e-6), name
        assert record.figures[name] == value
    for name, want in zip(NAMES, stats[3:12], strict=True):
        assert record.figures[name] == pytest.approx(want, abs=1e-6), name
    plain = {**content, "annotations": [{**a, "iscrowd": 0} for a in content["annotations"]]}
    assert stats[0] > reference(plain, found)[0] + 0.01, "the crowds matter here"
    assert record.errors["ignored"] > 0


@pytest.mark.parametrize(("box", "precision"), [((20, 20, 40, 40), 1.0), ((25, 25, 35, 35), 0.5)])
def test_a_difficult_object_of_a_voc_folder_counts_neither_way(
    box: tuple[int, ...], precision: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A box that fits it is dropped; one that lies inside and doesn't fit is wrong, as it wouldn't be in a crowd."""
    ref = resolve(config("voc", path=voc_set(tmp_path / "voc")), tmp_path / "out")
    boxes = np.array([(4, 5, 14, 17), box], dtype=np.float64)
    found = [Scene(boxes, np.zeros(2, np.int64), np.array([0.8, 0.9]))]
    metrics, record = evaluated(ref, found, tmp_path, monkeypatch)
    assert metrics.ground_truths == [1]
    assert metrics.map50 == metrics.precision == precision
    assert record.figures["mAP50-95"] == metrics.map50_95 == pytest.approx(precision)


def test_changed_areas_are_read_and_saved_truths_follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = made(tmp_path)
    write(tmp_path / "coco", "train", photos[:4], 3)
    content = write(tmp_path / "coco", "val", photos[4:], 3)
    found = detections_of([Scene(p.boxes, p.classes, np.ones(len(p.classes))) for p in photos[4:]], 3, tied=False)
    found = [Scene(f.boxes, np.minimum(f.classes, 2), f.scores) for f in found]
    first = resolve(config("coco", path=tmp_path / "coco"), tmp_path / "out")
    before, _ = evaluated(first, found, tmp_path, monkeypatch)
    for row in content["annotations"]:
        row["area"] = 20.0  # every object small
    (tmp_path / "coco/annotations/instances_val.json").write_text(json.dumps(content))
    second = resolve(config("coco", path=tmp_path / "coco"), tmp_path / "out")
    assert second.yaml != first.yaml, "a prepared folder of its own"
    assert second.fingerprint == first.fingerprint, "the same images, boxes and regions"
    after, record = evaluated(second, found, tmp_path, monkeypatch)
    assert after.map50_95 == before.map50_95
    assert record.figures["AR-small"] == record.figures["AR@100"]
    assert np.isnan(record.figures["AP-large"])
