"""`python -m src.benchmark artifacts=DIR [data=…] [runtime=…] [benchmark=…]`: verify and time a folder of model files.

Files that this project did not make are taken too. Every file is run over the split by the shared detection path on
every runtime that can run it, then timed against all others; results land in `out`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from src import runtime as engines
from src.benchmark import measure, predict, verify
from src.benchmark.foreign import discover
from src.benchmark.results import render, rows, write_csv, write_json
from src.cli import application
from src.config import BenchmarkConfig, DataConfig, ExportConfig, RuntimeConfig
from src.config_check import check_benchmark
from src.data import Sample
from src.errors import EXIT_FAILED, EXIT_OK, StageError, Unavailable, UserError
from src.records import Artifact, Failure, Gate, Measurement, Verification

Job = tuple[Artifact, str]


@dataclass
class BenchArgs:
    """Schema of `conf/bench.yaml`."""

    artifacts: str = MISSING
    data: DataConfig = field(default_factory=DataConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    benchmark: BenchmarkConfig = field(default_factory=BenchmarkConfig)
    out: str = "outputs/bench"
    split: str = "val"
    imgsz: int | None = None
    limit: int | None = None
    trust: bool = False
    device: str = "cpu"
    threads: int = 0
    seed: int = 0
    figures: bool = True
    outputs: str = "outputs"


@dataclass
class Accuracy:
    """What the accuracy pass found."""

    verifications: list[Verification] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


def run(args: BenchArgs) -> int:
    """Find the files, verify them, time them, write and print the results."""
    from rich.console import Console

    check_benchmark(args.benchmark)
    out = Path(args.out)
    artifacts = discover(Path(args.artifacts), imgsz=args.imgsz, trust=args.trust)
    samples, n_classes = _samples(args)
    jobs = [(a, e) for a in artifacts for e in args.runtime.engines if engines.supports(e, a.format, a.precision)]
    console = Console(width=None if sys.stdout.isatty() else 160)
    accuracy = _verify(jobs, samples, n_classes, args, out, console)
    passed = {(v.artifact_sha256, v.runtime) for v in accuracy.verifications}
    timed = [(a, e) for a, e in jobs if (a.sha256, e) in passed]
    measurements, failures = measure(
        timed,
        args.benchmark,
        [s.image for s in samples],
        device=args.device,
        threads=args.threads,
        out_dir=out / "samples",
        base=out,
        seed=args.seed,
        trust=args.trust,
        gflops=_gflops(artifacts, args.trust),
        labels=[Path(a.path).name for a, _ in timed],
        progress=lambda text: console.print(text, style="dim", highlight=False),
    )
    skipped = [*accuracy.failures, *failures, *_unequal(measurements, accuracy.verifications, out)]
    table = rows(measurements, accuracy.verifications)
    write_csv(out / "benchmark.csv", table)
    write_json(out / "benchmark.json", measurements, accuracy.verifications, skipped, artifacts=args.artifacts)
    if args.figures:
        from src.benchmark.figures import draw

        draw(table, out / "figures")
    console.print(render(table, wide=console.width >= 150))
    for failure in skipped:
        console.print(f"skipped {failure.target} ({failure.stage}): {failure.message}", highlight=False, markup=False)
    console.print(f"written to {out}", highlight=False)
    return EXIT_OK if measurements else EXIT_FAILED


def _unequal(measurements: list[Measurement], verifications: list[Verification], out: Path) -> list[Failure]:
    """Artifacts whose timed outputs are not those of the accuracy pass: their latency is of something else."""
    saved = {(v.artifact_sha256, v.runtime): out / v.detections_file for v in verifications}
    found = []
    for m in measurements:
        same = verify.timed_outputs_match(out / m.samples_file, saved[(m.artifact_sha256, m.runtime)])
        if m.scope == "model_only" and m.batch == 1 and not same:
            message = "outputs of timed runs differ from those of the accuracy pass"
            found.append(Failure("benchmark", f"{m.runtime}/{m.format}/{m.precision}", "error", message))
    return found


def _samples(args: BenchArgs) -> tuple[list[Sample], int]:
    from src.data import load_split
    from src.data.prepare import prepare

    ref = prepare(args.data, Path(args.outputs)).ref
    samples = load_split(ref, args.split)[: args.limit]
    if not samples:
        raise UserError("the split holds no images", value=args.split, remedy="split=train, val or test")
    return samples, len(ref.class_names)


def _verify(
    jobs: list[Job], samples: list[Sample], n_classes: int, args: BenchArgs, out: Path, console: Any
) -> Accuracy:
    """Accuracy of every file on every runtime; the first that is PyTorch's, else the first at all, is the reference."""
    found = Accuracy()
    ordered = sorted(jobs, key=lambda job: (job[0].format != "pytorch", job[0].precision != "fp32"))
    reference: tuple[float, Path] | None = None
    for artifact, engine in ordered:
        console.print(f"verify: {engine} {artifact.label} {Path(artifact.path).name}", style="dim", highlight=False)
        try:
            metrics, saved = _accuracy(artifact, engine, samples, n_classes, args, out)
        except (StageError, Unavailable, UserError) as error:
            kind = "unavailable" if isinstance(error, Unavailable) else "error"
            message = error.message if isinstance(error, StageError) else str(error)
            found.failures.append(Failure("verify", f"{engine}/{artifact.label}", kind, message))  # type: ignore[arg-type]
            continue
        first = reference is None
        reference = reference or (metrics["mAP50-95"], saved)
        found.verifications.append(_verification(artifact, engine, args, metrics, saved, reference, first, out))
    return found


def _verification(
    artifact: Artifact,
    engine: str,
    args: BenchArgs,
    metrics: dict[str, float],
    saved: Path,
    reference: tuple[float, Path],
    first: bool,
    out: Path,
) -> Verification:
    return Verification(
        format=artifact.format,
        precision=artifact.precision,
        artifact_sha256=artifact.sha256,
        runtime=engine,
        split=args.split,
        metrics=metrics,
        reference_map=reference[0],
        gate="reference" if first else _gate(metrics["mAP50-95"], reference[0]),
        detections_file=saved.relative_to(out).as_posix(),
        extra=verify.agreement(reference[1], saved),
    )


def _gate(value: float, reference: float) -> Gate:
    limits = ExportConfig()
    share = value / reference if reference > 0 else 1.0
    return "pass" if share >= limits.tolerance else "warn" if share >= limits.warn_below else "fail"


def _accuracy(
    artifact: Artifact, engine: str, samples: list[Sample], n_classes: int, args: BenchArgs, out: Path
) -> tuple[dict[str, float], Path]:
    import numpy as np

    from src.detect import Detections
    from src.evaluate import evaluate

    saved = predict(
        artifact,
        engine,
        [s.image for s in samples],
        device=args.device,
        threads=args.threads,
        out=out / "detections" / f"{engine}-{artifact.label.replace('/', '-')}-{artifact.sha256[:8]}.npz",
        trust=args.trust,
    )
    with np.load(saved, allow_pickle=False) as content:
        index, boxes, scores, classes = (content[k] for k in ("image_index", "boxes", "scores", "classes"))
    found = [Detections(boxes[index == i], scores[index == i], classes[index == i]) for i in range(len(samples))]
    return evaluate(found, samples, n_classes).as_dict(), saved


def _gflops(artifacts: list[Artifact], trust: bool) -> dict[str, float]:
    """GFLOPs of one image of the one checkpoint in the folder; without one they are not known."""
    checkpoints = [a for a in artifacts if a.format == "pytorch"]
    if len(checkpoints) != 1:
        return {}
    from src.ultra import load_checkpoint

    model = load_checkpoint(checkpoints[0].path, trust)
    from ultralytics.utils.torch_utils import get_flops

    return {checkpoints[0].sha256: float(get_flops(model, checkpoints[0].input_shape[-1]))}


def main() -> None:
    """Compose the arguments by Hydra and run."""
    application(run, "bench", BenchArgs)


if __name__ == "__main__":
    main()
