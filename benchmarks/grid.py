"""The eight-run grid on photographs against eight `yolo train` processes, and against the bare arithmetic.

python -m benchmarks.grid COCO128_FOLDER [epochs]

Ours is one command, timed from its start until its last trial is recorded: imports, checks, training, evaluation and
tracking, without the stages that `yolo train` has no word for (export, benchmark, report). The peer is a `yolo train`
process per setting with the same data, optimizer, learning rate, batch, seed and image size, and its defaults for the
rest. Half of the peer's processes run before ours and half after, since machines drift. The arithmetic is the forward
and backward pass of as many batches of the same size on all cores, timed in one warm process before and after.

Processor time of the whole commands (all their processes, user and system; ours with its report) stands beside the
seconds: it can be compared on a machine that does other work too, which seconds can't.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
IMGSZ, LR, SEEDS, BATCH = (320, 416), (0.005, 0.01), (1, 42), 8
LIMITS = {"ours_to_yolo_train": 0.45, "ours_to_arithmetic": 1.25}
ARITHMETIC = """
import json, os, sys, time, statistics
from pathlib import Path
from src.models.ultralytics.checkpoint import prepare_environment
prepare_environment(Path(sys.argv[1]))
import torch
from ultralytics.cfg import get_cfg
from ultralytics.nn.tasks import DetectionModel
torch.set_num_threads(len(os.sched_getaffinity(0)))
batch, sizes = int(sys.argv[2]), [int(s) for s in sys.argv[3:]]
found = {}
for imgsz in sizes:
    model = DetectionModel("yolov8n.yaml", nc=1, verbose=False).train()
    model.args = get_cfg()
    boxes = torch.rand(batch * 3, 4) * 0.3 + 0.3
    data = {"img": torch.rand(batch, 3, imgsz, imgsz), "bboxes": boxes, "cls": torch.zeros(batch * 3, 1),
            "batch_idx": torch.arange(batch).repeat_interleave(3).float()}
    times = []
    for _ in range(9):
        begun = time.perf_counter()
        loss, _ = model(data)
        loss.sum().backward()
        model.zero_grad()
        times.append(time.perf_counter() - begun)
    found[imgsz] = statistics.median(times[2:])
print(json.dumps(found))
"""


def children_cpu_s() -> float:
    """Processor time of every process that was started here, or by one that was, and has ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ours(source: Path, epochs: int, folder: Path) -> float:
    """Seconds from the start of our command to the record of its last trial."""
    begun = time.time()
    words = [
        "data=tiny_person",
        f"data.source={source}",
        f"imgsz={','.join(map(str, IMGSZ))}",
        f"lr={','.join(map(str, LR))}",
        f"seed={','.join(map(str, SEEDS))}",
        f"epochs={epochs}",
        f"batch={BATCH}",
        "model.weights=scratch",
        "export=none",
        "runtime=pytorch",
        "benchmark=quick",
        "decision.finalists=1",
        f"outputs={folder / 'outputs'}",
        f"reports={folder / 'reports'}",
        "sweep=grid",
    ]
    subprocess.run([sys.executable, "-m", "src.run", "-m", *words], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    records = list((folder / "outputs/sweeps/grid/trials").glob("*/record.json"))
    assert len(records) == len(IMGSZ) * len(LR) * len(SEEDS)
    return max(path.stat().st_mtime for path in records) - begun


def yolo_train(data: str, imgsz: int, lr: float, seed: int, epochs: int, folder: Path) -> float:
    """Seconds of one `yolo train` process."""
    words = {
        "model": "yolov8n.yaml",
        "data": data,
        "imgsz": imgsz,
        "lr0": lr,
        "seed": seed,
        "epochs": epochs,
        "batch": BATCH,
        "optimizer": "AdamW",
        "device": "cpu",
        "project": folder,
        "name": f"{imgsz}-{lr}-{seed}",
    }
    env = {
        **os.environ,
        "YOLO_OFFLINE": "true",
        "YOLO_AUTOINSTALL": "false",
        "YOLO_CONFIG_DIR": str(folder / "settings"),
    }
    begun = time.perf_counter()
    command = [str(Path(sys.executable).with_name("yolo")), "detect", "train", *(f"{k}={v}" for k, v in words.items())]
    subprocess.run(command, cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


def arithmetic(folder: Path) -> dict[int, float]:
    """Seconds of the forward and backward pass of one batch, by image size."""
    command = [sys.executable, "-c", ARITHMETIC, str(folder / "settings"), str(BATCH), *map(str, IMGSZ)]
    env = {**os.environ, "OMP_NUM_THREADS": str(len(os.sched_getaffinity(0)))}  # Ultralytics would set it to 1
    done = subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True)
    return {int(k): v for k, v in json.loads(done.stdout.splitlines()[-1]).items()}


def measure(source: Path, epochs: int = 3) -> dict[str, Any]:
    """Run all three and compare."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "peer").mkdir()
        first = arithmetic(folder)
        grid = list(itertools.product(IMGSZ, LR, SEEDS))
        # The dataset has to be there for the peer; making it takes a moment, which is then no part of our time.
        data = prepared(source, folder)
        marks = [children_cpu_s()]
        before = [yolo_train(data, *cell, epochs, folder / "peer") for cell in grid[::2]]
        marks.append(children_cpu_s())
        own = ours(source, epochs, folder)
        marks.append(children_cpu_s())
        after = [yolo_train(data, *cell, epochs, folder / "peer") for cell in grid[1::2]]
        marks.append(children_cpu_s())
        second = arithmetic(folder)
    own_cpu, peer_cpu = marks[2] - marks[1], marks[1] - marks[0] + marks[3] - marks[2]
    batches = -(-40 // BATCH) * epochs * len(LR) * len(SEEDS)
    bare = sum(batches * statistics.fmean((first[s], second[s])) for s in IMGSZ)
    peer = sum(before) + sum(after)
    ratios = {"ours_to_yolo_train": own / peer, "ours_to_arithmetic": own / bare}
    return {
        "trials": len(grid),
        "epochs": epochs,
        "ours_s": round(own, 1),
        "yolo_train_s": round(peer, 1),
        "yolo_train_each_s": [round(s, 1) for s in before + after],
        "arithmetic_s": round(bare, 1),
        "cpu_s": {"ours": round(own_cpu, 1), "yolo_train": round(peer_cpu, 1), "ratio": round(own_cpu / peer_cpu, 3)},
        "drift_of_arithmetic": round(max(second[s] / first[s] for s in IMGSZ), 3),
        "ratios": {k: round(v, 3) for k, v in ratios.items()},
        "limits": LIMITS,
        "holds": {k: ratios[k] <= limit for k, limit in LIMITS.items()},
    }


def prepared(source: Path, folder: Path) -> str:
    """Place of the dataset's `data.yaml`."""
    from src.data import resolve
    from tests.configurations import typed

    cfg = typed("data=tiny_person", f"data.source={source}")
    return resolve(cfg.data, folder / "outputs").yaml


if __name__ == "__main__":
    if len(sys.argv) < 2:
        print("no figures: give the folder of COCO128 (images/, labels/) as the first argument")
        sys.exit(0)
    print(json.dumps(measure(Path(sys.argv[1]).resolve(), *[int(word) for word in sys.argv[2:]]), indent=1))
