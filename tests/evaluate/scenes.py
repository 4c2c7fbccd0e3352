"""Random scenes: ground truth with detections that hit, miss, double and confuse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from src.evaluate.files import Loaded, LoadedGroundTruth
from src.evaluate.matching import Floats
from src.evaluate.tables import areas_of

Scene = Loaded  # boxes of one image; scores are unused for ground truth
Ground = LoadedGroundTruth  # objects of one image with annotated areas, and regions to ignore


def with_regions(
    ground_truths: list[Scene], seed: int, n_classes: int, *, crowd: bool = True, most: int = 4
) -> list[Ground]:
    """The same objects with outlines that fill a part of their boxes; regions to ignore anywhere and by objects."""
    rng = np.random.default_rng(1000 + seed)
    made = []
    for t in ground_truths:
        m = int(rng.integers(0, most + 1))
        corner = rng.uniform(0, 400, (m, 2))
        near = rng.integers(0, len(t.classes), m) if len(t.classes) else np.empty(0, dtype=np.int64)
        shift = rng.normal(0, 0.1, (len(near), 2)) * (t.boxes[near, 2:] - t.boxes[near, :2])
        regions = [np.hstack([corner, corner + rng.uniform(20, 300, (m, 2))]), t.boxes[near] + np.tile(shift, 2)]
        made.append(
            Ground(
                t.boxes,
                t.classes,
                areas_of(t.boxes) * rng.uniform(0.2, 1.0, len(t.boxes)),
                np.vstack(regions),
                np.r_[rng.integers(0, n_classes, m), t.classes[near]],
                np.full(m + len(near), crowd),
            )
        )
    return made


def random_boxes(rng: np.random.Generator, n: int, side: float = 640.0) -> Floats:
    corner = rng.uniform(0, side * 0.8, (n, 2))
    size = np.exp(rng.uniform(np.log(4), np.log(side * 0.6), (n, 2)))
    return np.hstack([corner, np.minimum(corner + size, side)])


def random_scenes(
    seed: int, n_images: int, n_classes: int, *, most: int = 12, tied: bool = False
) -> tuple[list[Scene], list[Scene]]:
    """Detections and truths: jittered copies, duplicates, wrong classes and background."""
    rng = np.random.default_rng(seed)
    detections, ground_truths = [], []
    for _ in range(n_images):
        n = int(rng.integers(0, most + 1))
        boxes, classes = random_boxes(rng, n), rng.integers(0, n_classes, n)
        ground_truths.append(Scene(boxes, classes, np.ones(n)))
        pick = rng.integers(0, n, int(rng.integers(0, 2 * n + 1))) if n else np.empty(0, dtype=np.int64)
        spread = rng.choice([0.01, 0.05, 0.15], (len(pick), 1)) * np.tile(boxes[pick, 2:] - boxes[pick, :2], 2)
        copies = boxes[pick] + rng.normal(0, 1, (len(pick), 4)) * spread
        copies[:, 2:] = np.maximum(copies[:, 2:], copies[:, :2] + 1)
        confused = np.where(
            rng.random(len(pick)) < 0.2,
            rng.integers(0, n_classes, len(pick)),
            classes[pick],
        )
        noise = int(rng.integers(0, most))
        found = np.vstack([copies, random_boxes(rng, noise)])
        scores = rng.random(len(found))
        detections.append(
            Scene(
                found,
                np.r_[confused, rng.integers(0, n_classes, noise)].astype(np.int64),
                np.round(scores, 1) if tied else scores,
            )
        )
    return detections, ground_truths


def xywh(box: Floats) -> list[float]:
    return [float(v) for v in (box[0], box[1], box[2] - box[0], box[3] - box[1])]


def coco_annotations(ground_truths: Sequence[Scene | Ground], n_classes: int) -> dict[str, Any]:
    """The scenes as a COCO annotation file has them: image ids and category ids from 1."""
    annotations: list[dict[str, Any]] = []
    for image, ground_truth in enumerate(ground_truths, 1):
        areas = ground_truth.areas if isinstance(ground_truth, Ground) else areas_of(ground_truth.boxes)
        rows = [(*row, 0) for row in zip(ground_truth.boxes, ground_truth.classes, areas, strict=True)]
        if isinstance(ground_truth, Ground):
            crowds = zip(
                ground_truth.ignored, ground_truth.ignored_classes, areas_of(ground_truth.ignored), strict=True
            )
            rows += [(*row, 1) for row in crowds]
        for box, c, area, crowd in rows:
            own = {"id": len(annotations) + 1, "image_id": image, "category_id": int(c) + 1}
            annotations.append({**own, "bbox": xywh(box), "area": float(area), "iscrowd": crowd})
    images = [{"id": i, "width": 640, "height": 640} for i in range(1, len(ground_truths) + 1)]
    categories = [{"id": c + 1, "name": str(c)} for c in range(n_classes)]
    return {"images": images, "annotations": annotations, "categories": categories}


def coco_reference(
    detections: Sequence[Scene], ground_truths: Sequence[Scene | Ground], n_classes: int, max_dets: int = 100
) -> Any:
    """faster-coco-eval's evaluation of the same scenes, after `accumulate` and `summarize`."""
    return judged_by_reference(coco_annotations(ground_truths, n_classes), detections, max_dets)


def judged_by_reference(annotations: dict[str, Any], detections: Sequence[Scene], max_dets: int = 100) -> Any:
    """faster-coco-eval on an annotation file whose image ids count from 1 in the order of the detections."""
    from faster_coco_eval import COCO, COCOeval_faster  # type: ignore[import-untyped]

    results = [
        {
            "image_id": image,
            "category_id": int(c) + 1,
            "bbox": xywh(box),
            "score": float(score),
        }
        for image, found in enumerate(detections, 1)
        for box, c, score in zip(found.boxes, found.classes, found.scores, strict=True)
    ]
    gt = COCO(annotations)
    run = COCOeval_faster(gt, gt.loadRes(results), "bbox", print_function=lambda *_: None)
    run.params.maxDets = [1, 10, max_dets]
    run.evaluate()
    run.accumulate()
    run.summarize()
    return run
