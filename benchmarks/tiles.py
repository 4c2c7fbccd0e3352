"""Recall on large scenes of small objects: looked at whole, and by tiles too.

A detector is trained on ordinary digit scenes of 320 px at 160 px. Scenes of the test split are then laid out as large
pictures of 4 x 3, on which a digit is as large as before, while the picture as a whole is scaled down four times as
far. Intervals are of the bootstrap over large pictures, the difference is paired.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._table import held, lines
from benchmarks.xnnpack import trained_once
from src import runtime
from src.config.schema import DataConfig
from src.data import Sample, load_split, resolve
from src.evaluate import evaluate
from src.evaluate.costs import counts_at
from src.evaluate.matching import match
from src.inference import Detections, Detector, Thresholds, load_image
from src.inference.tiles import TiledDetector
from src.predict.model import open_model
from src.records.tiling import Tiling

OUT = Path("outputs/bench/tiles")
ACROSS, DOWN, SCENES = 4, 3, 20  # scenes of a large picture, and large pictures
SIDE, TILE, OVERLAPS = 320, 320, (0.0, 0.2)  # px of a scene and of a tile: one fits the other as a user would choose
CONF, RESAMPLES = 0.25, 2000
DATA: dict[str, Any] = {"n_train": 240, "n_val": 60, "n_test": SCENES * ACROSS * DOWN, "size": SIDE}
TRAIN = ["model=v8n", "imgsz=160", "epochs=20", "export=none", "tracking=none", "benchmark=quick"]


def trained() -> Path:
    """The checkpoint: the one that is named, or one of ordinary scenes, trained now where that has not been done."""
    if len(sys.argv) > 1:
        return Path(sys.argv[1])
    return Path(trained_once(OUT, *TRAIN, *(f"data.{key}={value}" for key, value in DATA.items())).path)


class Large:
    """A large picture with its objects."""

    def __init__(self, samples: list[Sample]) -> None:
        images = [load_image(s.image) for s in samples]
        rows = [np.concatenate(images[r * ACROSS : (r + 1) * ACROSS], axis=1) for r in range(DOWN)]
        self.image: NDArray[np.uint8] = np.concatenate(rows)
        moved = [s.boxes + np.array([i % ACROSS, i // ACROSS] * 2) * SIDE for i, s in enumerate(samples)]
        self.boxes = np.concatenate(moved)
        self.classes = np.concatenate([s.classes for s in samples])
        self.areas = np.concatenate([s.areas for s in samples])
        self.ignored, self.ignored_classes = np.empty((0, 4)), np.empty(0, np.int64)
        self.ignored_crowd = np.empty(0, np.bool_)


def found_of(found: list[Detections], scenes: list[Large], n_classes: int) -> NDArray[np.float64]:
    """Objects, and those found at the threshold in use, of every scene [scenes, 2]."""
    rows = []
    for detections, scene in zip(found, scenes, strict=True):
        counts = counts_at(match([detections], [scene], n_classes, max_dets=1000), np.full(n_classes, CONF))
        rows.append([counts.objects.sum(), counts.found.sum()])
    return np.array(rows, np.float64)


def main() -> int:
    """Print recall before and after."""
    path, dataset = trained(), resolve(DataConfig(name="digits", kind="digits", **DATA), OUT)
    samples = load_split(dataset, "test")
    cell = ACROSS * DOWN
    scenes = [Large(samples[i : i + cell]) for i in range(0, len(samples) - cell + 1, cell)]
    artifact = open_model(path, imgsz=None, names=None, trust=False).artifact
    session = runtime.load("pytorch", artifact, threads=1)
    detector = Detector(session, artifact, Thresholds(max_det=1000))
    ways: list[tuple[str, Tiling | None]] = [("whole", None)]
    ways += [(f"tiles, overlap {o:g}, {m}", Tiling(TILE, o, m)) for o in OVERLAPS for m in ("iou", "smaller")]
    n, rng = len(dataset.class_names), np.random.default_rng(0)
    weights = rng.multinomial(len(scenes), np.full(len(scenes), 1 / len(scenes)), RESAMPLES)
    rows: list[list[object]] = [["", "recall", "95 %", "gained", "95 %", "mAP50-95", "CPU s a picture"]]
    first, gained = None, 0.0
    for name, tiling in ways:
        begun = time.process_time()
        found = [_look(detector, tiling, s.image) for s in scenes]
        took = (time.process_time() - begun) / len(scenes)
        counts = found_of(found, scenes, n)
        recalls = (weights @ counts[:, 1]) / (weights @ counts[:, 0])
        first = recalls if first is None else first
        value = counts[:, 1].sum() / counts[:, 0].sum()
        plain = rows[1][1] if len(rows) > 1 else value
        low = float(np.percentile(recalls - first, 2.5))
        gained = max(gained, low)
        score = evaluate(found, scenes, n).as_dict()["mAP50-95"]
        rows.append([name, value, _span(recalls), value - float(str(plain)), _span(recalls - first), score, took])
    print(f"{len(scenes)} pictures of {ACROSS * SIDE} x {DOWN * SIDE} px, threshold {CONF}, IoU 0.5")
    print(lines(rows))
    print(f"what whole pictures miss is found by tiles: {held(gained > 0)}")
    return 0 if gained > 0 else 1


def _look(detector: Detector, tiling: Tiling | None, image: NDArray[np.uint8]) -> Detections:
    return detector([detector.prepare(image)])[0] if tiling is None else TiledDetector(detector, tiling)(image)


def _span(values: NDArray[np.float64]) -> str:
    low, high = np.percentile(values, [2.5, 97.5])
    return f"{low:.3f} … {high:.3f}"


if __name__ == "__main__":
    sys.exit(main())
