"""What quantisation-aware training recovers of the accuracy that static INT8 loses on digits.

python -m benchmarks.qat train FOLDER      the starting network: the default recipe, ten epochs
python -m benchmarks.qat tune FOLDER       the recipe `qat` on it, four epochs
python -m benchmarks.qat judge FOLDER      exports both, judges every file on the test split, prints the table
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.train_epoch import configured
from src.benchmark import predict
from src.config import AppConfig, check
from src.data import load_split, resolve
from src.errors import StageError, Unavailable
from src.evaluate import evaluate
from src.export import export
from src.pipeline.accuracy import load_detections
from src.records import Artifact, Checkpoint, DatasetRef
from src.train import train

TARGETS = {"onnx/int8": "onnxruntime", "openvino/int8": "openvino", "litert/int8": "litert"}
WORTH = 0.01  # loss in mAP50-95 below which there is nothing to recover


def steps(folder: Path) -> dict[str, list[str]]:
    """Words of the two trainings."""
    best = folder / "train" / "weights" / "best.pt"
    tuned = ["train=qat", f"model.weights={best}", "epochs=4", "lr=0.0002"]
    return {"train": ["train.plots=false"], "tune": tuned}


def run_step(step: str, folder: Path) -> None:
    """One training; its checkpoint's record is kept beside it."""
    cfg = configured(*steps(folder)[step])
    check(cfg)
    start = Path(cfg.model.weights) if step == "tune" else None
    threads = len(os.sched_getaffinity(0))
    data = resolve(cfg.data, folder / "data")
    result = train(cfg, data, start, step, folder / step, threads, lambda e, row: print(e, row["val/mAP50-95"]))
    (folder / f"{step}.json").write_text(json.dumps(vars(result.checkpoint)))


def judge(artifact: Artifact, engine: str, data: DatasetRef, folder: Path) -> float:
    """mAP50-95 on test."""
    samples = load_split(data, "test")
    threads = len(os.sched_getaffinity(0))
    images = [s.image for s in samples]
    out = predict(artifact, engine, images, device="cpu", threads=threads, out=folder / "found.npz")
    return evaluate(load_detections(out, len(samples)), samples, len(data.class_names)).as_dict()["mAP50-95"]


def compare(folder: Path) -> dict[str, Any]:
    """Every INT8 file of both networks."""
    cfg: AppConfig = configured()
    data = resolve(cfg.data, folder / "data")
    calibration = [s.image for s in load_split(data, "calibration")]
    found: dict[str, Any] = {}
    for step in ("train", "tune"):
        checkpoint = Checkpoint(**json.loads((folder / f"{step}.json").read_text()))
        for target, engine in {"pytorch/fp32": "pytorch", **TARGETS}.items():
            try:
                artifact = export(checkpoint, target, folder / f"{step}-files", cfg.export, calibration=calibration)
                found.setdefault(target, {})[step] = round(judge(artifact, engine, data, folder), 4)
            except (StageError, Unavailable) as error:
                found.setdefault(target, {})[step] = str(error)
    before = found["pytorch/fp32"]["train"]
    for row in (found[target] for target in TARGETS):
        if all(isinstance(row.get(s), float) for s in ("train", "tune")):
            lost = before - row["train"]
            row["lost by INT8"] = round(lost, 4)
            row["recovered share"] = round((row["tune"] - row["train"]) / lost, 3) if lost > WORTH else None
    return found


if __name__ == "__main__":
    place = Path(sys.argv[2])
    if sys.argv[1] == "judge":
        print(json.dumps(compare(place), indent=1))
    else:
        run_step(sys.argv[1], place)
