"""A process of the benchmark with toys for work: stands for `src.benchmark.worker`, and imports next to nothing.

Detections are the truth of every image, moved a little, latencies numbers that follow from the artifact's hash.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.chaos.kill_points import VARIABLE, KillPoints
from src.common.whole_files import write_text
from src.machine.parent_process import leave_with_parent


def predict(job: dict[str, Any]) -> dict[str, Any]:
    """Stands for the worker's `predict`: the truth of every image, moved a little as the weights say."""
    import numpy as np

    kill_points = KillPoints(Path(os.environ[VARIABLE]))
    artifact, out = job["artifact"], Path(job["out"])
    rows: list[tuple[int, list[float], float, int]] = []
    for index, path in enumerate(job["images"]):
        rng = random.Random(f"{artifact['source_sha256']} {Path(path).name}")
        for kind, corners in _truth(Path(path)):
            rows.append((index, [v + rng.gauss(0, 1.0) for v in corners], rng.uniform(0.3, 1), kind))
        kill_points.reached("predict · middle")
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = out.with_name(f".{out.name}.{os.getpid()}.tmp.npz")
    with open(aside, "wb") as stream:
        np.savez_compressed(
            stream,
            image_index=np.array([r[0] for r in rows], np.int64),
            boxes=np.array([r[1] for r in rows], np.float32).reshape(-1, 4),
            scores=np.array([r[2] for r in rows], np.float32),
            classes=np.array([r[3] for r in rows], np.int64),
            n_images=np.int64(len(job["images"])),
            digests=np.array([_digest(artifact, path) for path in job["images"]], np.float64).reshape(-1, 2),
            raw=np.zeros(0, np.float32),
        )
    aside.replace(out)
    return {"runtime_version": "toy", "providers": [], "images": len(job["images"])}


def _digest(artifact: dict[str, Any], image: str) -> list[float]:
    """What the raw output would be summed up as: the same in the accuracy pass and in the timed one."""
    rng = random.Random(f"{artifact['sha256']} {Path(image).name}")
    return [rng.random(), rng.random()]


def _truth(image: Path) -> list[tuple[int, list[float]]]:
    """Class and corners (px) of every box that the prepared dataset has for an image."""
    from PIL import Image

    with Image.open(image) as picture:
        width, height = picture.size
    lines = (image.parents[2] / "labels" / image.parent.name / f"{image.stem}.txt").read_text().splitlines()
    rows = []
    for line in lines:
        kind, *values = line.split()
        x, y, w, h = map(float, values)
        rows.append((int(kind), [(x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height]))
    return rows


def measure_block(job: dict[str, Any]) -> dict[str, Any]:
    """Stands for the worker's `measure`: latencies that follow from the artifact's hash."""
    kill_points = KillPoints(Path(os.environ[VARIABLE]))
    kill_points.reached("benchmark · middle")
    time.sleep(0.05)
    artifact = job["artifact"]
    rng = random.Random(f"{artifact['sha256']} {job['runtime']}")
    base = 2 + 3 * rng.random()
    part = {
        "samples_ms": [base * (1 + 0.02 * rng.random()) for _ in range(40)],
        "warmup_calls": 2,
        "outputs_equal": True,
        "digest": [_digest(artifact, path) for path in job["images"][:8]],
        "stages_ms": {"inference": [base]},
        "peak_mb": 100.0,
        "vram_mb": 0.0,
    }
    head = {"load_ms": 5.0, "cold_ms": 9.0, "runtime_version": "toy", "providers": [], "device": "cpu"}
    return {**head, **{f"model_only/{batch}": part for batch in job["batches"]}, "end_to_end/1": part}


def baseline(job: dict[str, Any]) -> dict[str, Any]:
    """Stands for the worker's empty process."""
    return {"peak_mb": 40.0, "inputs": 8}


def gemm(job: dict[str, Any]) -> dict[str, Any]:
    """Stands for the measurement of the machine's own limit."""
    return {"gflops": 100.0}


JOBS = {"measure": measure_block, "predict": predict, "baseline": baseline, "gemm": gemm}


def main(source: Path, result: Path) -> None:
    """Read the job, do it, write the answer."""
    job = json.loads(source.read_text(encoding="utf-8"))
    write_text(result, json.dumps({"ok": True, "value": JOBS[job["kind"]](job)}))


if __name__ == "__main__":
    leave_with_parent(gently=False)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
