"""Files that Ultralytics exports, of every task and with suppression inside: the boxes are those of its own predictor.

Both get the same input tensor, so that what is compared is the reading of the output alone.
"""

from __future__ import annotations

import functools
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src import runtime
from src.benchmark.model_files import describe, format_of
from src.inference import LAYOUTS, Detector, Thresholds
from src.models.ultralytics.checkpoint import prepare_environment, quiet_settings

NAMES = ("a", "b", "c")
SIZE = 64
CONF = 0.25


@functools.cache
def checkpoint(folder: Path, kind: str) -> Path:
    """An untrained model of any task whose scores spread over 0..1; statistics of noise let signals through."""
    prepare_environment(folder / "ultralytics")
    quiet_settings()
    import torch
    import ultralytics
    import yaml
    from ultralytics.models import RTDETR, YOLO

    base = next((Path(str(ultralytics.__file__)).parent / "cfg" / "models").rglob(f"{kind}.yaml"))
    text = yaml.safe_load(base.read_text(encoding="utf-8")) | {"nc": len(NAMES)}
    if "kpt_shape" in text:
        text["kpt_shape"] = [5, 3]
    scale = "n" if "scales" in text and "n" in text["scales"] else ""
    source = folder / f"{kind.replace('yolov8', f'yolov8{scale}').replace('yolo26', f'yolo26{scale}')}.yaml"
    source.write_text(yaml.safe_dump(text), encoding="utf-8")
    torch.manual_seed(0)
    made: Any = (RTDETR if "rtdetr" in kind else YOLO)(str(source))
    model = made.model
    model.names = dict(enumerate(NAMES))
    model.args = {"imgsz": SIZE, "task": made.task}
    for name, module in model.named_modules():
        if "cv3" in name and isinstance(module, torch.nn.Conv2d) and module.out_channels == len(NAMES):
            torch.nn.init.normal_(module.weight, std=0.15)
            torch.nn.init.constant_(module.bias, -1.0)  # type: ignore[arg-type]
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    if "rtdetr" not in kind:
        with torch.no_grad():
            model.train()(torch.from_numpy(np.stack([noise(i) for i in range(4)])))
    model.eval()
    path = folder / f"{kind}.pt"
    torch.save({"model": model.half(), "ema": None, "train_args": model.args, "version": "8.4"}, path)
    return path


def noise(seed: int) -> np.ndarray[Any, Any]:
    """Coloured squares, [3, 64, 64] in 0..1."""
    return np.random.default_rng(seed).random((3, 8, 8), np.float32).repeat(8, 1).repeat(8, 2)


def exported(folder: Path, kind: str, **words: Any) -> Path:
    """What `yolo export` makes of it, under a name of its own."""
    source = checkpoint(folder, kind)
    if not words:
        return source
    from ultralytics.models import RTDETR, YOLO

    work = folder / f"{kind}-{'-'.join(f'{k}{v}' for k, v in words.items())}".replace(" ", "")
    work.mkdir()
    shutil.copy(source, work / "m.pt")
    model: Any = (RTDETR if "rtdetr" in kind else YOLO)(str(work / "m.pt"))
    return Path(model.export(**{"imgsz": SIZE, "device": "cpu", "verbose": False, "format": "onnx", **words}))


CASES: list[tuple[str, dict[str, Any], str]] = [
    ("yolov8", {"nms": True}, "end2end"),
    ("yolov8", {"nms": True, "dynamic": True}, "end2end"),
    ("yolov8", {"batch": 4}, "dense"),
    ("yolov8", {"imgsz": (64, 96)}, "dense"),
    ("yolov8", {"imgsz": (64, 96), "dynamic": True}, "dense"),
    ("yolov8", {"half": True}, "dense"),
    ("yolov8", {"format": "torchscript", "nms": True}, "end2end"),
    ("yolov8-seg", {}, "dense"),
    ("yolov8-seg", {"imgsz": 64}, "dense"),
    ("yolov8-seg", {"nms": True}, "end2end"),
    ("yolov8-pose", {"imgsz": 64}, "dense"),
    ("yolov8-pose", {"nms": True}, "end2end"),
    ("yolov8-obb", {}, "dense"),
    ("yolov8-obb", {"imgsz": 64}, "dense"),
    ("yolov8-obb", {"nms": True}, "listed_rotated"),
    ("yolov10n", {"imgsz": 64}, "dense"),
    ("yolov10n", {"nms": False}, "end2end"),
    ("yolo26", {}, "dense"),
    ("yolo26", {"nms": False}, "end2end"),
    ("rtdetr-l", {"imgsz": 64}, "queries"),
]


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("zoo")


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "words", "layout"), CASES)
def test_the_boxes_are_those_of_ultralytics(kind: str, words: dict[str, Any], layout: str, zoo: Path) -> None:
    path = exported(zoo, kind, **words)
    fmt = format_of(path)
    assert fmt is not None
    artifact = describe(path, fmt, "", SIZE, trust=False)
    assert artifact.output is not None
    assert (replace(artifact.output, classes=0, task="", picks=[]), artifact.names) == (LAYOUTS[layout], list(NAMES))
    engine = {"pytorch": "pytorch", "torchscript": "torchscript"}.get(fmt, "onnxruntime")
    session = runtime.load(engine, artifact, threads=1)
    detector = Detector(session, artifact, Thresholds(conf=CONF, multi_label=False))
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (8, 12, 3), np.uint8).repeat(10, 0).repeat(10, 1)
    prepared = detector.prepare(image)
    own = detector([prepared])[0]
    assert len(own.scores) > 3
    boxes, scores, classes = theirs(path, artifact.output.task, prepared.x, max(artifact.input_shape[0], 1))
    assert len(scores) == len(own.scores)
    assert np.allclose(np.sort(scores), np.sort(own.scores), atol=1e-4)
    expected = prepared.transform.to_image(boxes)
    for box, score, label in zip(expected, scores, classes, strict=True):  # equal scores have no order
        near = (np.abs(own.scores - score) < 1e-4) & (own.classes == label)
        assert np.abs(own.boxes[near] - box).max(axis=1).min() < (1e-3 if fmt != "pytorch" else 0.05)


def theirs(path: Path, task: str, x: np.ndarray[Any, Any], batch: int) -> tuple[Any, Any, Any]:
    """Boxes in input px, scores and classes by Ultralytics' predictor, for an input [3, h, w]."""
    import torch
    from ultralytics.models import RTDETR, YOLO

    model: Any = RTDETR(str(path)) if "rtdetr" in str(path) else YOLO(str(path), task=task or "detect")
    batch_of = torch.from_numpy(np.stack([x] * batch))
    words = {"conf": CONF, "iou": 0.7, "device": "cpu", "verbose": False, "rect": False, "imgsz": x.shape[1:]}
    result = model.predict(batch_of, **words)[0]
    found = result.obb if task == "obb" else result.boxes
    return found.xyxy.numpy(), found.conf.numpy(), found.cls.numpy()
