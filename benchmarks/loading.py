"""Loading: the shared cache with four loader processes against `cache=ram`, its memory, and TurboJPEG against OpenCV.

python -m benchmarks.loading [images] [epochs] [rounds]

Epochs are those of whole trainings in turns within one process, as in `train_epoch`; the first of each warms up and is
left out. Memory is what the kernel says of the mapped file of pictures in every process (`smaps`): `Pss` counts a page
once however many processes map it. Decoding is timed in turns over the same files in memory, in processor time of one
thread.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks._table import held, lines
from benchmarks.train_epoch import run_ours
from src.common.decoders import library, turbo
from src.data import resolve
from src.models.ultralytics import training
from src.models.ultralytics.checkpoint import prepare_environment, quiet_settings
from tests.configurations import typed

KINDS = {
    "cache=ram, no loader processes": ("ram", 0),
    "cache=ram, four loader processes": ("ram", 4),
    "cache=disk, four loader processes": ("disk", 4),
    "cache=none, four loader processes": ("none", 4),
}
SLACK = 1.05  # what two runs of one thing differ by here
SIZES = ((640, 480), (1920, 1080))
FILES, TURNS = 6, 9
Rows = list[list[object]]


def mapped(processes: list[psutil.Process]) -> tuple[float, float, float]:
    """MB of the file of pictures: mapped by all processes, counted once, and private to one of them."""
    found = {"Rss": 0.0, "Pss": 0.0, "Private_Dirty": 0.0}
    for process in processes:
        inside = False
        for line in Path(f"/proc/{process.pid}/smaps").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if "-" in line.split(" ")[0]:
                inside = ".pixels" in line
            elif inside and name in found:
                found[name] += float(value.split()[0]) / 1024
    return found["Rss"], found["Pss"], found["Private_Dirty"]


def measure(images: int = 96, epochs: int = 4, rounds: int = 3) -> tuple[dict[str, list[float]], list[Any], float]:
    """Epochs of every kind, the largest memory seen with four loader processes, and the size of the pictures."""
    threads, found, seen = len(os.sched_getaffinity(0)), dict[str, list[float]](), [[0.0, 0.0, 0.0, 0]]
    build: Any = training._build_trainer

    def watched(*words: Any) -> Any:
        trainer = build(*words)
        trainer.add_callback("on_train_epoch_end", lambda _: seen.append(_look()))
        return trainer

    training._build_trainer = watched  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare_environment(folder / "settings", threads=threads)
        quiet_settings()
        base = [f"epochs={epochs}", f"data.n_train={images}", "data.n_val=16", "data.n_test=4", "train.plots=false"]
        cfgs = {k: typed(*base, f"train.cache={c}", f"train.workers={w}") for k, (c, w) in KINDS.items()}
        data = resolve(next(iter(cfgs.values())).data, folder / "data")
        for number in range(rounds):
            for i, (kind, cfg) in enumerate(cfgs.items()):
                found.setdefault(kind, []).extend(run_ours(cfg, data, folder / f"{i}-{number}", threads))
        size = sum(p.stat().st_size for p in folder.rglob("*.pixels")) / 2**20
    training._build_trainer = build
    return found, max(seen), size


def _look() -> list[Any]:
    own = psutil.Process()
    processes = [own, *own.children(recursive=True)]
    return [*mapped(processes), len(processes)]


def decoding() -> Rows:
    """Milliseconds a file, OpenCV and TurboJPEG in turns; smooth pictures with some noise, as photographs are."""
    rows: Rows = [
        ["JPEG, quality 90", "OpenCV, CPU ms", "TurboJPEG, CPU ms", "ratio", "of turns", "largest difference"]
    ]
    for width, height in SIZES:
        files = [_photograph(width, height, seed) for seed in range(FILES)]
        ways: list[Callable[[NDArray[np.uint8]], Any]] = [
            lambda f: cv2.imdecode(f, cv2.IMREAD_COLOR),
            lambda f: turbo(f, rgb=False),
        ]
        apart = max(int(np.abs(ways[0](f).astype(int) - ways[1](f)).max()) for f in files)
        turns = [[_clock(way, files) for way in ways] for _ in range(TURNS)]
        ratios = sorted(b / a for a, b in turns)
        first, second = (statistics.median(t[i] for t in turns) for i in (0, 1))
        span = f"{ratios[1]:.3f} … {ratios[-2]:.3f}"
        rows.append([f"{width} x {height} px", first, second, statistics.median(ratios), span, apart])
    return rows


def _photograph(width: int, height: int, seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (height // 24, width // 24, 3), dtype=np.uint8)
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).astype(float)
    noisy = np.clip(large + rng.normal(0, 6, large.shape), 0, 255).astype(np.uint8)
    return np.asarray(cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].ravel(), np.uint8)


def _clock(way: Callable[[NDArray[np.uint8]], Any], files: list[NDArray[np.uint8]]) -> float:
    begun = time.process_time()  # of one thread: what else runs matters less
    for file in files:
        way(file)
    return 1000 * (time.process_time() - begun) / len(files)


def main() -> int:
    """Print epochs, memory and decoding."""
    if library() is None:
        print("libturbojpeg is not installed: decoding is left out")
    else:
        cv2.setNumThreads(1)
        print(lines(decoding()), flush=True)
    found, (rss, once, private, processes), size = measure(*[int(word) for word in sys.argv[1:]])
    medians = {kind: statistics.median(values) for kind, values in found.items()}
    first = next(iter(medians.values()))
    rows: Rows = [["", "epoch, s", "against cache=ram alone", "epochs"]]
    rows += [[kind, value, value / first, len(found[kind])] for kind, value in medians.items()]
    print(lines(rows))
    best = min(v for k, v in medians.items() if k.startswith(("cache=ram, four", "cache=disk"))) / first
    print(f"the shared cache with four loader processes takes at most {SLACK:.2f} of it: {held(best <= SLACK)}")
    print(f"pictures take {size:.1f} MB; {processes} processes map {rss:.1f} MB, which is {once:.1f} MB of memory,")
    once_only = once <= 1.1 * size and private == 0
    print(f"{private:.1f} MB of it private to one: once and not per process: {held(once_only)}")
    return 0 if best <= SLACK and once_only else 1


if __name__ == "__main__":
    sys.exit(main())
