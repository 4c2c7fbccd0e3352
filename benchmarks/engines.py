"""How far the benchmark's numbers can be believed: against other programs, against itself, against the machine.

    python -m benchmarks.engines [CHECKPOINT.pt IMAGES…] [--imgsz 640] [--threads 1] [--rounds 5] [--samples 40]
                                 [--only bare,benchmark_app,ultralytics,aa,cost,int8,peak,parent]

Every figure is a ratio of interleaved blocks in fresh processes; the verdict counts the interval over rounds.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from src.benchmark import measure, stats
from src.benchmark.verify import iou
from src.common.hashes import sha256_file
from src.config.schema import BenchmarkConfig, ExportConfig
from src.export import export
from src.machine.isolation import run_job
from src.records.schema import Artifact, Checkpoint, Measurement

Blocks = list[list[float]]
Run = Callable[[], list[float]]


@dataclasses.dataclass(frozen=True)
class Bench:
    """What all figures share."""

    checkpoint: Checkpoint
    images: list[str]
    folder: Path
    threads: int
    rounds: int
    samples: int

    def artifact(self, target: str) -> Artifact:
        """An artifact of the checkpoint, made once."""
        return export(self.checkpoint, target, self.folder, ExportConfig(name="x"), calibration=self.images)

    def job(self, artifact: Artifact, **more: Any) -> dict[str, Any]:
        """A job of `benchmarks._bare`."""
        return {
            "path": artifact.path,
            "artifact": dataclasses.asdict(artifact),
            "imgsz": self.checkpoint.imgsz,
            "images": self.images[:8],
            "threads": self.threads,
            "warmup": 10,
            "samples": self.samples,
            "folder": str(self.folder / "ultralytics"),
            **more,
        }

    def bare(self, artifact: Artifact, program: str, **more: Any) -> dict[str, Any]:
        """Run another program in a fresh process."""
        job = self.job(artifact, program=program, **more)
        return run_job(job, target=program, threads=self.threads, timeout_s=600, module="benchmarks._bare")

    def block(self, artifact: Artifact, runtime: str, part: str = "model_only/1") -> list[float]:
        """One block of this program's own measurement."""
        plan = {"warmup": 10, "min_samples": self.samples, "min_seconds": 0.0, "max_seconds": 120.0}
        job = self.job(artifact, kind="measure", runtime=runtime, device="cpu", plan=plan, batches=[1])
        job["end_to_end"] = part.startswith("end")
        answer = run_job(job, target=runtime, threads=self.threads, timeout_s=600)
        samples: list[float] = answer[part]["samples_ms"]
        return samples

    def config(self) -> BenchmarkConfig:
        """The same effort for `measure`."""
        return BenchmarkConfig("x", 10, 0.0, self.samples * self.rounds, 120.0, self.rounds, [1])

    def measure(self, jobs: Sequence[tuple[Artifact, str]], *, end_to_end: bool, seed: int = 0) -> list[Measurement]:
        """This program's own measurement in full."""
        found, failures = measure(
            jobs,
            self.config(),
            self.images,
            threads=self.threads,
            out_dir=self.folder / "samples",
            base=self.folder,
            seed=seed,
            end_to_end=end_to_end,
            gflops={self.checkpoint.sha256: self.checkpoint.gflops},
        )
        assert not failures, failures
        return found


def interleave(a: Run, b: Run, rounds: int) -> stats.Comparison:
    """A and B in turn, the order changed every round."""
    left: Blocks = []
    right: Blocks = []
    for turn in range(rounds):
        for run, into in ((a, left), (b, right))[:: 1 if turn % 2 else -1]:
            into.append(run())
    return stats.compare(left, right)


def show(name: str, result: stats.Comparison, goal: str) -> None:
    """One line."""
    print(
        f"{name:55} ratio {result.ratio:.3f} [{result.low:.3f}, {result.high:.3f}] {result.verdict:12} goal {goal}",
        flush=True,
    )


def bare(bench: Bench) -> None:
    """Our model-only median against a bare `InferenceSession.run` loop."""
    artifact = bench.artifact("onnx/fp32")
    result = interleave(
        lambda: bench.block(artifact, "onnxruntime"),
        lambda: bench.bare(artifact, "onnxruntime")["samples_ms"],
        bench.rounds,
    )
    show("ours / bare InferenceSession.run", result, "0.97 to 1.03")


def benchmark_app(bench: Bench) -> None:
    """Our model-only median against OpenVINO's own tool."""
    artifact = bench.artifact("openvino/fp32")
    result = interleave(
        lambda: bench.block(artifact, "openvino"), lambda: [_benchmark_app_median(bench, artifact)], bench.rounds
    )
    show("ours / benchmark_app -hint latency", result, "0.95 to 1.05")


def _benchmark_app_median(bench: Bench, artifact: Artifact) -> float:
    """Median that the tool prints, ms."""
    tool = Path(sys.executable).with_name("benchmark_app")
    side = bench.checkpoint.imgsz
    # With the hint the tool takes no number of threads: it is bound to as many cores instead.
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[-bench.threads :]))
    command = [
        *["taskset", "-c", cores],
        *[str(tool), "-m", f"{artifact.path}/model.xml", "-hint", "latency"],
        *["-niter", str(bench.samples), "-infer_precision", "f32", "-api", "sync", "-shape", f"[1,3,{side},{side}]"],
    ]
    out = subprocess.run(command, capture_output=True, text=True, timeout=600)
    found = re.search(r"Median:\s+([\d.]+) ms", out.stdout)
    if found is None:
        raise SystemExit(f"benchmark_app gave no median: {out.stdout[-800:]} {out.stderr[-800:]}")
    return float(found.group(1))


def ultralytics(bench: Bench) -> None:
    """End to end against Ultralytics' predictor on the same file, and whether the boxes are the same."""
    artifact = bench.artifact("onnx/fp32")
    theirs = lambda: bench.bare(artifact, "ultralytics")  # noqa: E731
    result = interleave(
        lambda: theirs()["samples_ms"], lambda: bench.block(artifact, "onnxruntime", "end_to_end/1"), bench.rounds
    )
    show("Ultralytics predict / ours, end to end", result, "at least 1.5")
    a, b = theirs()["boxes"], bench.bare(artifact, "ours", runtime="onnxruntime")["boxes"]
    print(f"{'same boxes (class, overlap >= 0.95)':55} {_same_boxes(a, b)}")


def _same_boxes(a: list[list[list[float]]], b: list[list[list[float]]]) -> str:
    total = same = 0
    for one, other in zip(a, b, strict=True):
        x, y = (np.array(v, np.float64).reshape(-1, 6) for v in (one, other))
        total += max(len(x), len(y))
        if len(x) and len(y):
            close = (iou(x[:, :4], y[:, :4]) >= 0.95) & (x[:, None, 5] == y[None, :, 5])
            same += int(close.any(axis=1).sum())
    return f"{same} of {total}"


def aa(bench: Bench) -> None:
    """Ten times the same artifact against itself."""
    artifact = bench.artifact("onnx/fp32")
    called, ratios = 0, []
    for _ in range(10):
        result = interleave(
            lambda: bench.block(artifact, "onnxruntime"), lambda: bench.block(artifact, "onnxruntime"), bench.rounds
        )
        called += result.verdict in ("faster", "slower")
        ratios.append(result.ratio)
    inside = sum(abs(r - 1) <= stats.TIE_MARGIN for r in ratios)
    spread = f"{min(ratios):.3f} to {max(ratios):.3f}, {inside} of 10 within 5 %"
    print(f"{'A/A: differences called in ten repeats':55} {called} (ratios {spread})  goal at most 1")


def cost(bench: Bench) -> None:
    """End to end in units of the bare inference."""
    found = bench.measure([(bench.artifact("onnx/fp32"), "onnxruntime")], end_to_end=True)
    ratio = found[1].latency.p50 / found[0].latency.p50
    print(f"{'end to end / model only':55} ratio {ratio:.3f}  goal at most 1.20  {found[1].extra}")


def int8(bench: Bench) -> None:
    """Static INT8 against float32 on the same runtime."""
    for runtime, targets in {
        "onnxruntime": ("onnx/fp32", "onnx/int8"),
        "openvino": ("openvino/fp32", "openvino/int8"),
        "litert": ("litert/fp32", "litert/int8"),
    }.items():
        made = [bench.artifact(t) for t in targets]
        extra = bench.measure([(a, runtime) for a in made], end_to_end=False)[1].extra
        low, high = 1 / extra["ratio_to_fp32_high"], 1 / extra["ratio_to_fp32_low"]
        ratio = 1 / extra["ratio_to_fp32"]
        print(f"{runtime + ' int8: times as fast as fp32':55} {ratio:.3f} [{low:.3f}, {high:.3f}]  goal at least 1.3")


def peak(bench: Bench) -> None:
    """Share of the matrix product's peak."""
    jobs = [(bench.artifact("onnx/fp32"), "onnxruntime"), (bench.artifact("openvino/fp32"), "openvino")]
    for m in bench.measure(jobs, end_to_end=False):
        share, gemm = m.extra["gemm_share"], m.extra["gemm_gflops"]
        print(
            f"{m.runtime + ': share of the GEMM peak':55} {share:.1%} of {gemm:.0f} GFLOP/s  goal at least 60 % of one"
        )


def parent(bench: Bench) -> None:
    """Processor time of the measuring parent."""
    artifact = bench.artifact("onnx/fp32")
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    bench.block(artifact, "onnxruntime", "end_to_end/1")
    after, wall = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - start
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{'parent, share of a core while it measures':55} {used / wall:.2%}  goal at most 1 %")


FIGURES = {f.__name__: f for f in (bare, benchmark_app, ultralytics, aa, cost, int8, peak, parent)}


def main() -> None:
    """Measure the figures asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, nargs="?", help="left out: an untrained YOLOv8n")
    parser.add_argument("images", nargs="*", help="left out: coloured noise, which holds nothing to find")
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--gflops", type=float, default=0.0, help="of one image; 0 = computed")
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--only", default=",".join(FIGURES))
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp(prefix="detsweep-figures-"))
    args.checkpoint = args.checkpoint or _untrained(folder)
    args.images = args.images or _noise(folder)
    sha = sha256_file(args.checkpoint)
    gflops = args.gflops or _gflops(args.checkpoint, args.imgsz, folder)
    checkpoint = Checkpoint(str(args.checkpoint), sha, sha, "model", args.imgsz, 0, 1, 1, "scratch", 0, gflops)
    bench = Bench(checkpoint, args.images, folder, args.threads, args.rounds, args.samples)
    print(json.dumps({"imgsz": args.imgsz, "threads": args.threads, "rounds": args.rounds, "gflops": gflops}))
    for name in args.only.split(","):
        FIGURES[name](bench)


def _untrained(folder: Path) -> Path:
    """An untrained YOLOv8n: as fast as a trained one."""
    from src.models.ultralytics.checkpoint import prepare_environment

    prepare_environment(folder / "ultralytics")
    import torch
    from ultralytics.nn.tasks import DetectionModel

    model = DetectionModel("yolov8n.yaml", nc=10, verbose=False)
    model.names = {i: str(i) for i in range(10)}
    path = folder / "untrained.pt"
    torch.save({"model": model, "ema": None, "train_args": {}}, path)
    return path


def _noise(folder: Path, count: int = 8) -> list[str]:
    """JPEG pictures of 640 × 480 px."""
    import cv2

    rng = np.random.default_rng(0)
    paths = [str(folder / f"noise{i}.jpg") for i in range(count)]
    for path in paths:
        cv2.imwrite(path, cv2.resize(rng.integers(0, 255, (12, 16, 3), dtype=np.uint8), (640, 480)))
    return paths


def _gflops(path: Path, imgsz: int, folder: Path) -> float:
    from src.models.ultralytics.checkpoint import load_checkpoint, prepare_environment

    prepare_environment(folder / "ultralytics")
    model = load_checkpoint(path)
    from ultralytics.utils.torch_utils import get_flops

    return float(get_flops(model, imgsz))


if __name__ == "__main__":
    main()
