"""The shared path finds what Ultralytics' own validation finds, and mAP differs by the definition of AP alone.

Ultralytics integrates the precision curve by trapezoids; COCO averages it at 101 recalls, as we do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.benchmark import predict
from src.config.schema import ExportConfig
from src.data import load_split, resolve
from src.evaluate import evaluate
from src.evaluate.files import load_detections
from src.export import export
from tests.models.ultralytics.toy import run, toy

WORDS = ["imgsz=96", "epochs=12", "lr=0.006", "batch=8", "data.n_train=120", "data.n_val=40", "data.size=160"]


def ap_of_ultralytics(found: Any, samples: Any, out: Path) -> float:
    """Ultralytics' mAP50-95 of our detections."""
    import torch
    from ultralytics.models.yolo.detect import DetectionValidator
    from ultralytics.utils import metrics

    judge: Any = DetectionValidator(save_dir=out, args={"plots": False})
    judge.iouv = torch.linspace(0.5, 0.95, 10)
    hits = []
    for one, sample in zip(found, samples, strict=True):
        boxes, ground_truths = (torch.tensor(np.asarray(b, np.float32)) for b in (one.boxes, sample.boxes))
        classes, own = (torch.tensor(np.asarray(c, np.int64)) for c in (one.classes, sample.classes))
        hits.append(judge.match_predictions(classes, own, metrics.box_iou(ground_truths, boxes)).numpy())
    scores = np.concatenate([one.scores for one in found])
    predicted = np.concatenate([one.classes for one in found])
    wanted = np.concatenate([sample.classes for sample in samples])
    return float(metrics.ap_per_class(np.concatenate(hits), scores, predicted, wanted)[5].mean())


@pytest.mark.slow
def test_map_is_that_of_ultralytics_own_validation(tmp_path: Path) -> None:
    cfg = toy(*WORDS)
    data = resolve(cfg.data, tmp_path / "data")
    checkpoint = run(cfg, data, tmp_path / "train").checkpoint
    samples = load_split(data, "val")
    artifact = export(checkpoint, "pytorch/fp32", tmp_path / "artifacts", ExportConfig(name="x"))
    images = [s.image for s in samples]
    saved = predict(
        artifact, "pytorch", images, device="cpu", threads=1, out=tmp_path / "d.npz", trust=False, isolated=False
    )
    found = load_detections(saved, len(samples))

    from ultralytics.models import YOLO

    words: Any = {"data": data.yaml, "imgsz": cfg.imgsz, "batch": 1, "rect": False, "device": "cpu", "plots": False}
    theirs = float(YOLO(checkpoint.path).val(**words, project=str(tmp_path / "val"), verbose=False).box.map)
    assert theirs > 0.1, "something is found"
    assert ap_of_ultralytics(found, samples, tmp_path / "judge") == pytest.approx(theirs, abs=5e-4), "the same boxes"
    ours = evaluate(found, samples, len(data.class_names)).as_dict()["mAP50-95"]
    assert ours == pytest.approx(theirs, abs=0.006), "40 images: the two definitions of AP differ by so much"
