"""A detector small enough for tests: YOLOv8n from scratch at 64 px, with a head that finds something in noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from src.common.hashes import sha256_file
from src.models.ultralytics.checkpoint import prepare_environment, quiet_settings
from src.records.schema import Checkpoint

IMGSZ = 64
CLASSES = 3


def make_checkpoint(folder: Path, *, yaml: str = "yolov8n.yaml", imgsz: int = IMGSZ) -> Checkpoint:
    """Save an untrained checkpoint whose scores spread over 0..1, in the form that Ultralytics writes."""
    prepare_environment(folder / "ultralytics")
    quiet_settings()
    import torch
    from ultralytics.nn.tasks import DetectionModel, RTDETRDetectionModel

    torch.manual_seed(0)
    build: Any = RTDETRDetectionModel if "rtdetr" in yaml else DetectionModel
    model = build(yaml, nc=CLASSES, verbose=False)
    model.names = {0: "a", 1: "b", 2: "c"}
    for name, module in model.named_modules():
        if "cv3" in name and isinstance(module, torch.nn.Conv2d) and module.out_channels == CLASSES:
            torch.nn.init.normal_(module.weight, std=0.6)
            torch.nn.init.constant_(module.bias, -1.0)  # type: ignore[arg-type]
    path = folder / f"{Path(yaml).stem}.pt"
    torch.save({"model": model.half(), "ema": None, "train_args": {}}, path)
    sha = sha256_file(path)
    return Checkpoint(str(path), sha, sha, Path(yaml).stem, imgsz, 0, 1, 1, "scratch", 1, 0.1)


def make_images(folder: Path, count: int = 6, size: tuple[int, int] = (48, 80)) -> list[str]:
    """Save smooth coloured noise, height x width px, as PNG files."""
    import cv2

    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [str(folder / f"{i}.png") for i in range(count)]
    for path in paths:
        coarse = rng.integers(0, 255, (6, 10, 3), dtype=np.uint8)
        cv2.imwrite(path, cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC))
    return paths
