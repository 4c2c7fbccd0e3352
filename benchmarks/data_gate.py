"""How long the data gate takes on 5,000 images of 640 x 480, the first time and when nothing has changed.

python -m benchmarks.data_gate [images]

The images are textured JPEGs made for the purpose (about 90 KB each, as a photograph), with eight boxes each. Every
check runs as a user would start it, in a process of its own: wall time and peak resident memory count everything.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
SIZE = (640, 480)
LIMITS = {"first_s": 60.0, "unchanged_s": 3.0, "peak_mb": 500.0}
SPLITS = {"train": 0.8, "val": 0.1, "test": 0.1}


def make_images(folder: Path, count: int) -> int:
    """Write a YOLO dataset of `count` images; returns its bytes."""
    jobs: list[tuple[str, str, int]] = []
    for split, share in SPLITS.items():
        (folder / "images" / split).mkdir(parents=True)
        (folder / "labels" / split).mkdir(parents=True)
        jobs += [(str(folder), split, len(jobs) + i) for i in range(round(count * share))]
    with ProcessPoolExecutor() as pool:
        total = sum(pool.map(_make_one, jobs, chunksize=100))
    keys = "".join(f"{split}: images/{split}\n" for split in SPLITS)
    (folder / "data.yaml").write_text(keys + "names: [a, b, c, d, e]\n")
    return total


def _make_one(job: tuple[str, str, int]) -> int:
    folder, split, number = job
    rng = np.random.Generator(np.random.PCG64(number))
    coarse = rng.integers(40, 216, (12, 16, 3)).astype(np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC)).astype(np.int16)
    grain = rng.integers(-14, 15, (SIZE[1], SIZE[0], 1))
    path = Path(folder, "images", split, f"{number:05d}.jpg")
    Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8)).save(path, quality=88)
    rows = rng.uniform(0.2, 0.8, (8, 4)) * [1, 1, 0.4, 0.4]
    text = "".join(f"{i % 5} {' '.join(f'{v:.6f}' for v in row)}\n" for i, row in enumerate(rows.tolist()))
    Path(folder, "labels", split, f"{number:05d}.txt").write_text(text)
    return path.stat().st_size


def run_check(data: Path, outputs: Path, *words: str) -> dict[str, float]:
    """Wall seconds and peak resident megabytes of one `python -m src.data check`."""
    command = [
        sys.executable,
        "-m",
        "src.data",
        "check",
        "data=yolo",
        f"data.path={data}",
        f"outputs={outputs}",
        *words,
    ]
    begun = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    if status:
        raise SystemExit(f"the check failed: {' '.join(command)}")
    return {"seconds": round(seconds, 2), "peak_mb": round(usage.ru_maxrss / 1024, 1)}


def measure(count: int = 5000) -> dict[str, object]:
    """Make the images, check them three times, and compare with the limits."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        total = make_images(folder / "own", count)
        data, outputs = folder / "own" / "data.yaml", folder / "out"
        first = run_check(data, outputs, "pictures=false")
        again = [run_check(data, outputs, "pictures=false") for _ in range(3)]
        verified = run_check(data, outputs, "pictures=false", "data.verify=true")
    unchanged = sorted(r["seconds"] for r in again)[1]
    peak = max(r["peak_mb"] for r in (first, verified, *again))
    measured = {"first_s": first["seconds"], "unchanged_s": unchanged, "peak_mb": peak}
    return {
        "images": count,
        "bytes_per_image": total // count,
        "cores": len(os.sched_getaffinity(0)),
        **measured,
        "verified_s": verified["seconds"],
        "limits": LIMITS,
        "holds": {key: measured[key] <= limit for key, limit in LIMITS.items()},
    }


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 5000), indent=1))
