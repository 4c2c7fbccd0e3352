"""A bundle for other machines: its latencies against the program's own, its size, and how soon it measures.

    python -m benchmarks.device [COCO128_FOLDER] [--pairs 10] [--only ratio|size|start]

Three sizes of an untrained YOLOv8n stand for the finalists, in ONNX, OpenVINO and LiteRT. Photographs are those of the
folder, else of smooth noise. Ratios are of medians from blocks of a process each, in turn: bundle, program, bundle, …
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from src.benchmark import measure
from src.benchmark.bundle.candidates import Asked
from src.benchmark.bundle.pack import pack
from src.benchmark.stats import compare_rounds
from src.common.samples import quantile
from src.config.schema import BenchmarkConfig, DataConfig, ExportConfig
from src.data import load_split, resolve
from src.decide.load import Saved, load_sweep
from src.export import export
from src.records.schema import Artifact, DatasetRef
from tests.benchmark.bundle.squares import save_sweep
from tests.tiny import CLASSES, make_checkpoint, make_images

SIZES = (320, 480, 640)  # px
TARGETS = {"onnx/fp32": "onnxruntime", "openvino/fp32": "openvino", "litert/fp32": "litert"}
VAL = 100  # photographs
BLOCK = BenchmarkConfig(name="bench", warmup=10, min_seconds=2.0, min_samples=100, max_seconds=20, rounds=1)


@dataclass(frozen=True)
class World:
    """What all figures are measured on."""

    home: Path
    saved: Saved
    images: list[str]

    @property
    def model(self) -> tuple[Artifact, str]:
        """The smallest network on ONNX Runtime, which is timed."""
        found = next(a for a in self.saved.finalists[0].artifacts if a.format == "onnx")
        return found, "onnxruntime"


def dataset(home: Path, source: Path | None) -> DatasetRef:
    """Photographs with a box each: what is in them doesn't matter here."""
    if source is not None:
        photographs = sorted(map(str, source.rglob("*.jpg")))[: VAL + 20]
    else:
        photographs = make_images(home / "noise", VAL + 20, (480, 640))
    parts = {"train": photographs[:10], "test": photographs[10:20], "val": photographs[20:]}
    for split, files in parts.items():
        for file in map(Path, files):
            image = home / "source" / "images" / split / file.name
            label = home / "source" / "labels" / split / f"{file.stem}.txt"
            image.parent.mkdir(parents=True, exist_ok=True)
            label.parent.mkdir(parents=True, exist_ok=True)
            image.write_bytes(file.read_bytes())
            label.write_text("".join(f"{i} 0.5 0.5 0.{i + 3} 0.4\n" for i in range(CLASSES)))
    names = json.dumps([str(i) for i in range(CLASSES)])
    text = f"path: .\ntrain: images/train\nval: images/val\ntest: images/test\nnames: {names}\n"
    (home / "source" / "data.yaml").write_text(text)
    cfg = DataConfig(name="bench", kind="yolo", path=str(home / "source" / "data.yaml"))
    return resolve(cfg, home / "outputs")


def world(home: Path, source: Path | None, sizes: Sequence[int], targets: dict[str, str]) -> World:
    """A saved sweep of untrained networks."""
    ref = dataset(home, source)
    folder = home / "outputs" / "sweeps" / "device"
    finalists = {}
    for imgsz in sizes:
        made = home / f"checkpoint-{imgsz}"
        made.mkdir()
        checkpoint = make_checkpoint(made, imgsz=imgsz)
        place = folder / "made" / str(imgsz)
        files = {target: export(checkpoint, target, place, ExportConfig(name="x")) for target in targets}
        finalists[imgsz] = [(files[target], runtime) for target, runtime in targets.items()]
    save_sweep(folder, ref, finalists)
    return World(home, load_sweep(folder), [s.image for s in load_split(ref, "val")])


def ratio(w: World, pairs: int) -> str:
    """Median latency of a bundle over that of the program itself, pair by pair."""
    bundle = w.home / "one"
    pack(w.saved, bundle, Asked(BLOCK, trials=[0], targets=["onnx/fp32"], images=8))
    theirs, ours = [], []
    for i in range(pairs):
        into = w.home / f"into-{i}"
        subprocess.run(
            [sys.executable, str(bundle / "run.py"), "--into", str(into)], stdout=subprocess.DEVNULL, check=True
        )
        answer = json.loads((into / "results.json").read_text())["candidates"][0]["rounds"][0]
        theirs.append(quantile(answer["model_only/1"]["samples_ms"], 0.5))
        found, failures = measure([w.model], BLOCK, w.images, out_dir=w.home / f"raw-{i}", base=w.home)
        assert not failures, failures
        ours.append(next(m for m in found if m.scope == "model_only").latency.p50)
    result = compare_rounds(theirs, ours)
    return (
        f"bundle's median over the program's, {w.model[0].label} at {SIZES[0]} px, {pairs} pairs of blocks: "
        f"{result.ratio:.3f} [{result.low:.3f}; {result.high:.3f}] (limit 0.98 to 1.02); "
        f"{statistics.median(theirs):.2f} and {statistics.median(ours):.2f} ms"
    )


def size(w: World) -> str:
    """What a bundle takes beside its model files."""
    made = pack(w.saved, w.home / "all", Asked(BLOCK))
    held = sum(path.stat().st_size for path in (w.home / "all" / "pictures").rglob("*") if path.is_file())
    return (
        f"bundle of {len(made.plan.candidates)} candidates beside {made.artifact_bytes / 1e6:.1f} MB of model files: "
        f"{made.other_bytes / 1e6:.1f} MB (limit 60), of it {held / 1e6:.1f} MB for {len(made.plan.pictures)} of "
        f"{made.plan.images_in_split} pictures at {len(made.plan.fitted)} sizes"
    )


def start(w: World) -> str:
    """Seconds from the command to the first process that measures."""
    bundle = w.home / "all"
    if not bundle.is_dir():
        pack(w.saved, bundle, Asked(BLOCK))
    spans = []
    for i in range(5):
        begun = time.perf_counter()
        command = [sys.executable, str(bundle / "run.py"), "--into", str(w.home / f"start-{i}")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None
        next(line for line in process.stdout if line.startswith("accuracy"))
        spans.append(time.perf_counter() - begun)
        process.terminate()
        process.wait()
    found = f"{statistics.median(spans):.2f} s, at most {max(spans):.2f} (limit 3)"
    return f"from the command to the first measuring process: {found}"


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", nargs="?", type=Path)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--only", choices=("ratio", "size", "start"))
    args = parser.parse_args()
    only = args.only
    with tempfile.TemporaryDirectory() as name:
        few = only == "ratio"
        w = world(
            Path(name), args.photographs, SIZES[:1] if few else SIZES, {"onnx/fp32": "onnxruntime"} if few else TARGETS
        )
        if only in (None, "size"):
            print(size(w), flush=True)
        if only in (None, "start"):
            print(start(w), flush=True)
        if only in (None, "ratio"):
            print(ratio(w, args.pairs), flush=True)


if __name__ == "__main__":
    main()
