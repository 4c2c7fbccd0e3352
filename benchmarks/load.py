"""Sizes beyond the usual: 10,000 trials, 10,000 runs, 20,000 images of 500 classes, an image of 12,000 x 9,000 px.

python -m benchmarks.load [part …]      parts: study, runs, images, picture, report

Time and memory of each, in a process of its own where memory counts.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.data_gate import run_check

ROOT = Path(__file__).resolve().parents[1]
TRIALS = 10_000
MOST_MS = 10.0  # of a no-op trial at 1,000 of them; at 10,000 at most twice what it is at 1,000


def study() -> dict[str, Any]:
    """What a trial that does nothing costs, in a study of 1,000 and in one of 10,000 slots."""
    small, large = _noops(1000, 1000), _noops(TRIALS, TRIALS)
    first, last = small["per_trial_ms"], large["last_1000_ms"]
    return {"1000": small, str(TRIALS): large, "holds": first <= MOST_MS and last <= 2 * first}


def _noops(slots: int, run: int) -> dict[str, Any]:
    from src.sweeper.loop import Outcome, work
    from src.sweeper.space import parse_space
    from src.sweeper.storage import open_storage
    from src.sweeper.study import Study

    with tempfile.TemporaryDirectory() as name:
        space = parse_space({}, [f"imgsz=range(1,{slots + 1})"], n_trials=None)
        begun = time.perf_counter()
        made = Study(open_storage(None, Path(name) / "study.log"), space, {}, None)
        made.lay_out()
        laid_out = time.perf_counter() - begun
        ends = [time.perf_counter()]
        work(made, lambda cell: ends.append(time.perf_counter()) or Outcome([0.5]))  # type: ignore[func-returns-value]
        total = time.perf_counter() - ends[0]
        begun = time.perf_counter()
        again = Study(open_storage(None, Path(name) / "study.log"), space, {}, None)
        again.lay_out()
        assert again.unfinished() == 0
        return {
            "lay_out_s": round(laid_out, 2),
            "per_trial_ms": round(1000 * total / run, 2),
            "last_1000_ms": round(ends[-1] - ends[-min(1000, run)], 3),
            "open_again_s": round(time.perf_counter() - begun, 2),
            "journal_mb": round((Path(name) / "study.log").stat().st_size / 1e6, 1),
            "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }


def runs(count: int = TRIALS) -> dict[str, Any]:
    """What a run costs in an experiment of 10,000, against one in an empty experiment."""
    from src.config.schema import TrackingConfig
    from src.track import open_tracker

    with tempfile.TemporaryDirectory() as name:
        outputs = Path(name)
        tracker = open_tracker(TrackingConfig(name="local", system_metrics=False), outputs)
        empty = _run_costs(tracker)
        _insert(outputs / "mlflow.db", count)
        full = _run_costs(tracker)
        begun = time.perf_counter()
        open_tracker(TrackingConfig(name="local", system_metrics=False), outputs)
        opened = time.perf_counter() - begun
    return {"runs": count, "empty_ms": empty, "full_ms": full, "open_s": round(opened, 2)}


def _run_costs(tracker: Any) -> dict[str, float]:
    found: dict[str, float] = {}

    def timed(what: str, call: Callable[[], Any]) -> Any:
        times = []
        for _ in range(5):
            begun = time.perf_counter()
            value = call()
            times.append(time.perf_counter() - begun)
        found[what] = round(1000 * sorted(times)[2], 1)
        return value

    run = timed("start", lambda: tracker.start("a", tags={"detsweep.key": uuid.uuid4().hex}))
    timed("metrics", lambda: run.metrics({"a": 1.0, "lr": 2.0}, step=1))
    timed("find", lambda: tracker.find("detsweep.key", "none"))
    timed("resume", lambda: tracker.resume(run.run_id))
    return found


def _insert(database: Path, count: int) -> None:
    """Copies of the first run, with a tag and 20 metrics each, put into the database directly."""
    with sqlite3.connect(database) as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(runs)")]
        row = dict(zip(columns, db.execute("SELECT * FROM runs LIMIT 1").fetchone(), strict=True))
        ids = [uuid.uuid4().hex for _ in range(count)]
        marks = ",".join("?" * len(columns))
        db.executemany(f"INSERT INTO runs VALUES ({marks})", [tuple({**row, "run_uuid": i}.values()) for i in ids])
        db.executemany("INSERT INTO tags (key, value, run_uuid) VALUES ('detsweep.key', ?, ?)", [(i, i) for i in ids])
        values = [(f"m{k}", 0.5, 1, i, 0, 0) for i in ids for k in range(20)]
        db.executemany(
            "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?,?,?,?,?,?)", values
        )


def images(count: int = 20_000, classes: int = 500) -> dict[str, Any]:
    """The gate over many small images of many classes."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "own"
        for split, part in (("train", 0.8), ("val", 0.1), ("test", 0.1)):
            (folder / "images" / split).mkdir(parents=True)
            (folder / "labels" / split).mkdir(parents=True)
            for i in range(round(count * part)):
                noise = Image.frombytes("RGB", (48, 48), os.urandom(48 * 48 * 3))
                noise.save(folder / "images" / split / f"{i:05d}.jpg")
                rows = (f"{(i * 3 + k) % classes} 0.5 0.5 0.{k + 2} 0.{k + 3}\n" for k in range(3))
                (folder / "labels" / split / f"{i:05d}.txt").write_text("".join(rows))
        names = ", ".join(f"c{i}" for i in range(classes))
        keys = "".join(f"{split}: images/{split}\n" for split in ("train", "val", "test"))
        (folder / "data.yaml").write_text(f"{keys}names: [{names}]\n")
        first = run_check(folder / "data.yaml", Path(name) / "out", "pictures=false")
        again = run_check(folder / "data.yaml", Path(name) / "out", "pictures=false")
    return {"images": count, "classes": classes, "first": first, "again": again}


def picture(width: int = 12_000, height: int = 9_000) -> dict[str, Any]:
    """The gate over a dataset that holds one very large image."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "own"
        # In a process of its own: a child's peak of memory counts from that of the process that starts it.
        maker = multiprocessing.get_context("spawn").Process(target=_one_large_image, args=(folder, width, height))
        maker.start()
        maker.join()
        return {
            "pixels": [width, height],
            "check": run_check(folder / "data.yaml", Path(name) / "out", "pictures=false"),
            "check_with_pictures": run_check(folder / "data.yaml", Path(name) / "out2"),
        }


def _one_large_image(folder: Path, width: int, height: int) -> None:
    import numpy as np
    from PIL import Image

    rng = np.random.Generator(np.random.PCG64(1))
    for split, (h, w) in {"train": (height, width), "val": (64, 64)}.items():
        (folder / "images" / split).mkdir(parents=True)
        (folder / "labels" / split).mkdir(parents=True)
        coarse = rng.integers(0, 255, (h // 4, w // 4, 3), dtype=np.uint8)
        Image.fromarray(coarse.repeat(4, axis=0).repeat(4, axis=1)).save(folder / "images" / split / "a.jpg")
        (folder / "labels" / split / "a.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    (folder / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [a]\n")


def report() -> str:
    """The report over 10,000 trials."""
    words = [sys.executable, "-m", "benchmarks.report_scale", str(TRIALS)]
    return subprocess.run(words, check=True, cwd=ROOT, capture_output=True, text=True).stdout.strip()


PARTS: dict[str, Callable[[], Any]] = {
    "study": study,
    "runs": runs,
    "images": images,
    "picture": picture,
    "report": report,
}

if __name__ == "__main__":
    asked = sys.argv[1:] or list(PARTS)
    for part in asked:
        print(json.dumps({part: PARTS[part]()}), flush=True)
