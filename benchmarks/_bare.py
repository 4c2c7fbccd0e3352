"""Other programs on the same file: the least code that runs an engine, and Ultralytics' own predictor.

Run by `benchmarks.engines` in fresh processes: `python -m benchmarks._bare job.json result.json`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from src.benchmark.worker import _bind
from src.inference import letterbox, load_image

Call = Callable[[int], Any]


def onnxruntime_loop(job: dict[str, Any]) -> Call:
    """A bare `InferenceSession.run`."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    session = ort.InferenceSession(job["path"], options, providers=["CPUExecutionProvider"])
    inputs = [letterbox(load_image(path), job["imgsz"])[0][None] for path in job["images"]]
    name = session.get_inputs()[0].name
    return lambda i: session.run(None, {name: inputs[i % len(inputs)]})


def ultralytics_predict(job: dict[str, Any]) -> Call:
    """`ultralytics.YOLO(artifact).predict` on images decoded from memory, as its users write it."""
    from src.models.ultralytics.checkpoint import prepare_environment

    prepare_environment(Path(job["folder"]))
    import cv2
    import torch
    from ultralytics.models import YOLO

    model = YOLO(job["path"], task="detect")
    files = [np.fromfile(path, np.uint8) for path in job["images"]]

    def call(i: int) -> Any:
        torch.set_num_threads(job["threads"])  # its device choice resets them
        image = cv2.imdecode(files[i % len(files)], cv2.IMREAD_COLOR)
        results: Any = model.predict(image, imgsz=job["imgsz"], verbose=False, device="cpu", rect=False)
        return results[0]

    return call


def ours(job: dict[str, Any]) -> Call:
    """The same from this program, for the boxes."""
    from src import inference, runtime
    from src.records.schema import Artifact

    artifact = Artifact(**job["artifact"])
    session = runtime.load(job["runtime"], artifact, threads=job["threads"])
    files = [np.fromfile(path, np.uint8) for path in job["images"]]

    detector = inference.Detector(session, artifact, inference.DEPLOYMENT)

    def call(i: int) -> inference.Detections:
        return detector([detector.prepare(inference.decode_image(files[i % len(files)]))])[0]

    return call


PROGRAMS: dict[str, Callable[[dict[str, Any]], Call]] = {
    "onnxruntime": onnxruntime_loop,
    "ultralytics": ultralytics_predict,
    "ours": ours,
}


def _boxes(result: Any) -> list[list[float]]:
    """x1, y1, x2, y2, score, class of the detections."""
    if hasattr(result, "scores"):
        columns = [result.boxes, result.scores[:, None], result.classes[:, None]]
        return np.concatenate(columns, axis=1).tolist() if len(result.scores) else []
    return result.boxes.data.tolist() if hasattr(result, "boxes") else []


def main() -> None:
    """Time a program, and keep what it found."""
    source, target = map(Path, sys.argv[1:])
    job = json.loads(source.read_text(encoding="utf-8"))
    _bind(job["threads"])
    call = PROGRAMS[job["program"]](job)
    found = [_boxes(call(i)) for i in range(len(job["images"]))] if job["program"] != "onnxruntime" else []
    for i in range(job["warmup"]):
        call(i)
    samples = []
    for i in range(job["samples"]):
        start = time.perf_counter_ns()
        call(i)
        samples.append((time.perf_counter_ns() - start) / 1e6)
    target.write_text(json.dumps({"ok": True, "value": {"samples_ms": samples, "boxes": found}}), encoding="utf-8")


main()
