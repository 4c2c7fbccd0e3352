"""Frames per second of `python -m src.predict` and of `yolo predict` on the same video and the same ONNX file.

python -m benchmarks.predict_video [frames] [rounds] [imgsz]

A video of 640 x 480 is made of COCO128-like textured scenes; the network is YOLOv8n at 320 px, or as asked, whose batch
norms have seen the scenes, so that boxes are found. Both run as a user starts them, in turns, writing nothing but what
they find; each reports its frames per second from first frame to last (imports and loading left out), and the whole
wall time.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._table import held, lines
from src.common.hashes import sha256_file
from src.config.schema import ExportConfig
from src.export import export
from src.machine.environment import cores
from src.models.ultralytics.checkpoint import prepare_environment, quiet_settings
from src.records.schema import Checkpoint

ROOT = Path(__file__).resolve().parents[1]
SIZE, CONF, LIMIT = (640, 480), 0.25, 1.5

# What `yolo predict model=… source=… stream` does, timed from its first frame to its last.
PEER = """
import json, sys, time
IMGSZ, CONF = int(sys.argv[3]), float(sys.argv[4])
from ultralytics import YOLO
model = YOLO(sys.argv[1], task="detect")
words = dict(source=sys.argv[2], imgsz=IMGSZ, conf=CONF, iou=0.7, verbose=False, save=False, device="cpu", stream=True)
words["rect"] = False  # the file takes squares of a fixed size
import numpy as np
list(model.predict(**{**words, "source": np.zeros((480, 640, 3), np.uint8)}))  # loads and warms up
begun, boxes, n = time.perf_counter(), [], 0
for result in model.predict(**words):
    boxes.append(result.boxes.data.tolist()); n += 1
print(json.dumps({"fps": n / (time.perf_counter() - begun), "boxes": boxes}))
"""

# The network alone: a call at a time on every core, which is the most that the runtime gives.
BARE = """
import json, sys, threading, time
import numpy as np, onnxruntime as ort
imgsz, calls, cores = map(int, sys.argv[2:])
options = ort.SessionOptions()
options.intra_op_num_threads = 1
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
feed = {session.get_inputs()[0].name: np.random.default_rng(0).random((1, 3, imgsz, imgsz), np.float32)}
session.run(None, feed)
def work():
    for _ in range(calls): session.run(None, feed)
threads = [threading.Thread(target=work) for _ in range(cores)]
begun = time.perf_counter()
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps({"fps": calls * cores / (time.perf_counter() - begun)}))
"""


def make_video(path: Path, frames: int) -> list[np.ndarray[Any, Any]]:
    """Textured shapes that move, with grain, at 30 frames per second."""
    import cv2

    rng = np.random.Generator(np.random.PCG64(0))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30.0, SIZE)
    back = cv2.resize(rng.integers(40, 216, (12, 16, 3)).astype(np.uint8), SIZE, interpolation=cv2.INTER_CUBIC)
    shapes = [(rng.integers(0, 600, 2), rng.integers(-6, 7, 2), int(rng.integers(20, 90))) for _ in range(12)]
    kept = []
    for number in range(frames):
        image = back.copy()
        for i, (start, speed, radius) in enumerate(shapes):
            x, y = ((start + speed * number) % SIZE).tolist()
            cv2.circle(image, (x, y), radius, (20 * i, 255 - 20 * i, 90), -1)
        image = np.clip(image.astype(np.int16) + rng.integers(-8, 9, (480, 640, 1)), 0, 255).astype(np.uint8)
        writer.write(image)
        if number % 20 == 0:
            kept.append(image)
    writer.release()
    return kept


def make_model(folder: Path, images: list[np.ndarray[Any, Any]], imgsz: int) -> Path:
    """YOLOv8n, untrained, with statistics from the scenes; exported to ONNX."""
    prepare_environment(folder / "settings")
    quiet_settings()
    import cv2
    import torch
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(0)
    model: Any = DetectionModel("yolov8n.yaml", nc=3, verbose=False)
    model.names = {0: "a", 1: "b", 2: "c"}
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
        if "cv3" in name and isinstance(module, torch.nn.Conv2d) and module.out_channels == 3:
            torch.nn.init.normal_(module.weight, std=0.05)
            torch.nn.init.constant_(module.bias, -5.0)  # type: ignore[arg-type]
    batch = np.stack([cv2.resize(i, (imgsz, imgsz)).transpose(2, 0, 1) for i in images[:8]])
    with torch.no_grad():
        model.train()(torch.from_numpy(batch).float() / 255)
    path = folder / "model.pt"
    torch.save({"model": model.eval().half(), "ema": None, "train_args": {}}, path)
    sha = sha256_file(path)
    checkpoint = Checkpoint(str(path), sha, sha, "v8n", imgsz, 0, 1, 1, "scratch", 1, 0.1)
    return Path(export(checkpoint, "onnx/fp32", folder, ExportConfig(name="bench")).path)


def run_ours(model: Path, video: Path, out: Path) -> dict[str, Any]:
    """Our command; its own summary tells frames per second."""
    begun = time.perf_counter()
    words = [f"model={model}", f"source={video}", f"conf={CONF}", "save=[json]", f"out={out}", "runtime=onnxruntime"]
    subprocess.run([sys.executable, "-m", "src.predict", *words], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - begun
    return {"fps": json.loads((out / "summary.json").read_text())["fps"], "wall_s": wall}


def run_peer(model: Path, video: Path, imgsz: int) -> dict[str, Any]:
    """Ultralytics' predictor."""
    begun = time.perf_counter()
    found = told(PEER, str(model), str(video), str(imgsz), str(CONF), folder=video.parent)
    return {**found, "wall_s": time.perf_counter() - begun}


def told(program: str, *words: str, folder: Path) -> dict[str, Any]:
    """What a program of its own prints last, as JSON."""
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"a program of the comparison failed: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def same_boxes(rows: list[dict[str, Any]], peer: list[list[list[float]]]) -> dict[str, float]:
    """How the boxes differ: counts, and the largest distance of corners of boxes paired by class and score, px."""
    worst, paired = 0.0, 0
    by_frame: dict[int, list[tuple[float, ...]]] = {}
    for row in rows:
        x, y, w, h = row["bbox"]
        frame = int(row["file_name"].rpartition("_")[2])
        by_frame.setdefault(frame, []).append((x, y, x + w, y + h, row["score"], row["category_id"]))
    for frame, theirs in enumerate(peer):
        mine = by_frame.get(frame, [])
        for box in theirs:
            same = [m for m in mine if m[5] == box[5]]
            gap = min((max(abs(a - b) for a, b in zip(m[:4], box[:4], strict=True)) for m in same), default=np.inf)
            paired += gap < 1
            worst = max(worst, gap if np.isfinite(gap) and gap < 1 else 0)
    return {
        "ours": len(rows),
        "peer": sum(map(len, peer)),
        "paired_within_1px": paired,
        "largest_gap_px": round(worst, 3),
    }


def measure(frames: int = 300, rounds: int = 3, imgsz: int = 320) -> dict[str, Any]:
    """Run both in turns and compare."""
    os.environ["YOLO_VERBOSE"] = "false"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = make_video(folder / "clip.mp4", frames)
        model = make_model(folder, images, imgsz)
        os.environ.pop("OMP_NUM_THREADS", None)  # both choose their own threads
        ours, peer, bare, n = [], [], [], cores()
        for number in range(rounds):
            ours.append(run_ours(model, folder / "clip.mp4", folder / f"out{number}"))
            peer.append(run_peer(model, folder / "clip.mp4", imgsz))
            bare.append(told(BARE, str(model), str(imgsz), str(-(-frames // n)), str(n), folder=folder))
        rows = json.loads((folder / "out0" / "predictions.json").read_text())
    ratios = [a["fps"] / b["fps"] for a, b in zip(ours, peer, strict=True)]
    walls = [b["wall_s"] / a["wall_s"] for a, b in zip(ours, peer, strict=True)]
    return {
        "frames": frames,
        "imgsz": imgsz,
        "cores": n,
        "ours": ours,
        "peer": peer,
        "bare": bare,
        "ceiling": statistics.median(a["fps"] / b["fps"] for a, b in zip(bare, peer, strict=True)),
        "ratio": statistics.median(ratios),
        "ratio_of_wall_time": statistics.median(walls),
        "boxes": same_boxes(rows, peer[0]["boxes"]),
    }


def shown(result: dict[str, Any]) -> str:
    """The figures as a table."""
    head = f"{result['frames']} frames of 640 x 480 at {result['imgsz']} px, {result['cores']} cores; a column a round"
    commands = {"detsweep": result["ours"], "yolo predict": result["peer"]}
    fps = commands | {"bare network": result["bare"]}
    rows: list[tuple[object, ...]] = [
        *((f"{name}, frames/s", *(f"{r['fps']:.1f}" for r in runs)) for name, runs in fps.items()),
        *((f"{name}, whole command, s", *(f"{r['wall_s']:.1f}" for r in runs)) for name, runs in commands.items()),
    ]
    ratio, boxes = result["ratio"], result["boxes"]
    share = boxes["paired_within_1px"] / max(boxes["peer"], 1)
    verdicts: list[tuple[object, ...]] = [
        ("frames/s, times yolo predict's", ratio, f"at least {LIMIT}", held(ratio >= LIMIT)),
        ("  bare network's, times yolo predict's", result["ceiling"]),
        ("whole command, times as fast", result["ratio_of_wall_time"]),
        ("boxes: detsweep", boxes["ours"]),
        ("boxes: yolo predict", boxes["peer"]),
        ("  of these found by both, within 1 px", boxes["paired_within_1px"], f"{share:.2%}"),
    ]
    return f"{head}\n{lines(rows)}\n{lines(verdicts)}"


if __name__ == "__main__":
    words = [int(word) for word in sys.argv[1:]]
    print(shown(measure(*words)))
