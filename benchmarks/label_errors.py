"""Planted label errors (5 %): how many of the first 50 suspects are among them.

Digit scenes get wrong labels in train and val alike, a quarter of each kind: an object without its label, a wrong
class, a box too far off, a box on nothing. Networks are trained on what is labelled so, and judge val.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from benchmarks._table import held, lines
from src.config.schema import DataConfig
from src.data import Sample, load_split, resolve
from src.evaluate.files import load_detections
from src.evaluate.suspects import KINDS, Suspect, suspects
from src.records.schema import TrialRecord
from src.records.store import load
from src.records.sweep_folder import SweepFolder

OUT = Path("outputs/bench/label_errors")
SHARE, FIRST, PROMISED = 0.05, 50, 0.6
SIZES = {"train": 240, "val": 240}
TRAIN = [
    "-m",
    "seed=1,2",
    "model=v8n",
    "imgsz=160",
    "epochs=20",
    "export=none",
    "runtime.engines=[]",
    "tracking=none",
]
Rows = list[tuple[int, NDArray[np.float64]]]  # class, x1 y1 x2 y2 px
Planted = dict[tuple[str, str], int]  # image's stem, kind -> how many


def spoil(rows: Rows, kind: str, size: tuple[int, int], rng: np.random.Generator) -> Rows:
    """The labels of an image with one mistake."""
    at = int(rng.integers(0, len(rows)))
    name, box = rows[at]
    rest = rows[:at] + rows[at + 1 :]
    if kind == "missing":
        return rest
    if kind == "class":
        return [*rest, ((name + int(rng.integers(1, 10))) % 10, box)]
    if kind == "box":
        shift = (box[2:] - box[:2]) * rng.choice([-0.4, 0.4], 2)
        return [*rest, (name, np.clip(box + np.tile(shift, 2), 0, np.tile(size, 2)))]
    side = rng.uniform(0.15, 0.3) * min(size)
    for _ in range(200):
        corner = rng.uniform(0, np.array(size) - side)
        free = np.r_[corner, corner + side]
        if all(_apart(free, other) for _, other in rows):
            return [*rows, (int(rng.integers(0, 10)), free)]
    return rows


def _apart(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    return bool((np.minimum(a[2:], b[2:]) <= np.maximum(a[:2], b[:2])).any())


def plant(folder: Path) -> Planted:
    """Write the scenes in the YOLO layout with wrong labels; returns those of val."""
    sizes = {f"n_{split}": count for split, count in SIZES.items()}
    clean = resolve(DataConfig(name="digits", kind="digits", n_test=1, size=160, **sizes), OUT)  # type: ignore[arg-type]
    rng, planted = np.random.default_rng(0), dict[tuple[str, str], int]()
    for split in SIZES:
        samples = load_split(clean, split)
        total = sum(len(s.classes) for s in samples)
        chosen = set(rng.permutation(len(samples))[: round(SHARE * total)].tolist())
        for i, sample in enumerate(samples):
            kind = KINDS[i % len(KINDS)] if i in chosen else ""
            _write(folder, split, sample, kind, rng, planted if split == "val" else {})
    content = {"names": clean.class_names, **{split: f"images/{split}" for split in SIZES}}
    (folder / "data.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return planted


def _write(folder: Path, split: str, sample: Sample, kind: str, rng: np.random.Generator, planted: Planted) -> None:
    size, source = (sample.width, sample.height), Path(sample.image)
    rows: Rows = [(int(c), b) for c, b in zip(sample.classes, sample.boxes, strict=True)]
    spoilt = spoil(rows, kind, size, rng) if kind and rows else rows
    if spoilt is not rows:
        planted[source.stem, kind] = 1
    for name, content in (("images", source.read_bytes()), ("labels", _yolo(spoilt, size).encode())):
        path = folder / name / split / (source.name if name == "images" else f"{source.stem}.txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _yolo(rows: Rows, size: tuple[int, int]) -> str:
    shares = [(c, *(box[:2] + box[2:]) / 2 / size, *(box[2:] - box[:2]) / size) for c, box in rows]
    return "".join(f"{c} {' '.join(f'{v:.7f}' for v in numbers)}\n" for c, *numbers in shares)


def main() -> int:
    """Plant, train, and print the precision of the first suspects."""
    folder = OUT / "data"
    planted = plant(folder)
    words = [*TRAIN, "data=yolo", f"data.path={folder / 'data.yaml'}", "sweep=planted", f"outputs={OUT}"]
    words += ["study.report=false", f"reports={OUT / 'reports'}"]
    subprocess.run([sys.executable, "-m", "src.run", *words], check=True, stdout=sys.stderr)
    trials = SweepFolder(OUT / "sweeps" / "planted").all_trials()
    records = [load(TrialRecord, t.record) for t in trials]
    dataset = records[0].dataset
    assert dataset is not None
    samples = load_split(dataset, "val")
    found = [load_detections(t.detections / "val-pytorch-pytorch-fp32.npz", len(samples)) for t in trials]
    rows: list[list[object]] = [["networks", f"precision of the first {FIRST}", *KINDS, "by chance"]]
    values = []
    for count in range(1, len(found) + 1):
        listed, _ = suspects(found[:count], samples, len(dataset.class_names))
        right = [_is_planted(s, samples, planted) for s in listed[:FIRST]]
        kinds = [sum(r and s.kind == k for r, s in zip(right, listed, strict=False)) for k in KINDS]
        values.append(sum(right) / FIRST)
        rows.append([count, values[-1], *kinds, len(planted) / sum(len(s.classes) for s in samples)])
    print(f"{len(planted)} wrong labels among {sum(len(s.classes) for s in samples)} of {len(samples)} images")
    print("mAP50-95 of the networks:", ", ".join(f"{r.metrics['val/mAP50-95']:.3f}" for r in records))
    print(lines(rows))
    print(f"at least {PROMISED:.0%} with all networks: {held(values[-1] >= PROMISED)}")
    return 0 if values[-1] >= PROMISED else 1


def _is_planted(s: Suspect, samples: list[Sample], planted: Planted) -> bool:
    """Right means the very image and kind."""
    return (Path(samples[s.image].image).stem, s.kind) in planted


if __name__ == "__main__":
    sys.exit(main())
