"""What quantisation-aware training recovers of the accuracy that static INT8 loses on digits.

python -m benchmarks.qat [FOLDER [WORDS…]]

Trains the starting network (the default recipe, ten epochs), then the recipe `qat` on it (four epochs), exports both
and judges every file on the test split. Each training runs in a process of its own. A training that FOLDER holds
already is taken as it is; WORDS override the configuration of both, for a quick look: `epochs=1 data.n_train=8`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._table import held, lines
from src.benchmark import predict
from src.common.errors import StageError, Unavailable
from src.config.checks import check
from src.config.schema import AppConfig
from src.data import load_split, resolve
from src.evaluate import evaluate
from src.evaluate.files import load_detections
from src.export import export
from src.models.base import Start
from src.models.ultralytics.training import train
from src.records.schema import Artifact, Checkpoint, DatasetRef
from src.report.recovery import HALF, WORTH
from tests.configurations import typed

TARGETS = {"onnx/int8": "onnxruntime", "openvino/int8": "openvino", "litert/int8": "litert"}
STEPS = ("train", "tune")


def steps(folder: Path) -> dict[str, list[str]]:
    """Words of the two trainings."""
    best = folder / "train" / "weights" / "best.pt"
    tuned = ["train=qat", f"model.weights={best}", "epochs=4", "lr=0.0002"]
    return {"train": ["train.plots=false"], "tune": tuned}


def run_step(step: str, folder: Path, words: list[str]) -> None:
    """One training; its checkpoint's record is kept beside it."""
    cfg = typed(*steps(folder)[step], *words)
    check(cfg)
    start = Start(Path(cfg.model.weights) if step == "tune" else None, step)
    threads = len(os.sched_getaffinity(0))
    data = resolve(cfg.data, folder / "data")
    result = train(cfg.training, data, start, folder / step, threads, lambda e, row: None)
    (folder / f"{step}.json").write_text(json.dumps(vars(result.checkpoint)))


def judge(artifact: Artifact, engine: str, data: DatasetRef, folder: Path) -> float:
    """mAP50-95 on test."""
    samples = load_split(data, "test")
    threads = len(os.sched_getaffinity(0))
    images = [s.image for s in samples]
    out = predict(artifact, engine, images, device="cpu", threads=threads, out=folder / "found.npz")
    return evaluate(load_detections(out, len(samples)), samples, len(data.class_names)).as_dict()["mAP50-95"]


def compare(folder: Path, words: list[str]) -> dict[str, dict[str, Any]]:
    """mAP50-95 of every file of both networks: target -> step -> figure, or the reason why there is none."""
    cfg: AppConfig = typed(*words)
    data = resolve(cfg.data, folder / "data")
    calibration = [s.image for s in load_split(data, "calibration")]
    found: dict[str, dict[str, Any]] = {}
    for step in STEPS:
        checkpoint = Checkpoint(**json.loads((folder / f"{step}.json").read_text()))
        for target, engine in {"pytorch/fp32": "pytorch", **TARGETS}.items():
            try:
                artifact = export(checkpoint, target, folder / f"{step}-files", cfg.export, calibration=calibration)
                found.setdefault(target, {})[step] = judge(artifact, engine, data, folder)
            except (StageError, Unavailable) as error:
                found.setdefault(target, {})[step] = str(error)
    return found


def shown(found: dict[str, dict[str, Any]]) -> str:
    """The figures as a table, and what they come to."""
    before = found["pytorch/fp32"]["train"]
    rows: list[tuple[object, ...]] = [("mAP50-95 on test", "before", "after qat", "lost", "recovered", "share", "")]
    rows.append(("pytorch/fp32", before, found["pytorch/fp32"]["tune"]))
    for target in TARGETS:
        first, second = (found[target][step] for step in STEPS)
        if not isinstance(first, float) or not isinstance(second, float):
            rows.append((target, first, second))
            continue
        lost, recovered = before - first, second - first
        share = recovered / lost if lost > WORTH else None
        said = "nothing to recover" if share is None else held(share >= HALF)
        rows.append((target, first, second, lost, recovered, share, said))
    return f"{lines(rows)}\ngoal: at least half of what static INT8 lost, where that is more than {WORTH}"


def main(words: list[str]) -> None:
    """Train what is missing, each in a process of its own, and print the table."""
    if words[:1] == ["--step"]:
        run_step(words[1], Path(words[2]), words[3:])
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(words[0] if words else name).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        for step in STEPS:
            if not (folder / f"{step}.json").is_file():
                own = [sys.executable, "-m", "benchmarks.qat", "--step", step, str(folder), *words[1:]]
                subprocess.run(own, check=True)
        print(shown(compare(folder, words[1:])))


if __name__ == "__main__":
    main(sys.argv[1:])
