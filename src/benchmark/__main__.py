"""`python -m src.benchmark artifacts=DIR [data=…] [runtime=…] [benchmark=…]`: verify and time a folder of model files.

Files that this project did not make are taken too. Every file is run over the split by the shared detection path on
every runtime that can run it, then timed against all others; results land in `out`.

Other machines (docs/device.md): `pack sweep=NAME out=DIR` writes a bundle of a sweep's finalists that measures itself
wherever it is copied, `import results=FILE sweep=NAME device=NAME` takes over what it found, and
`remote=ssh://user@host sweep=NAME` does both, and the measuring between, over ssh.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from src import runtime as engines
from src.benchmark import measure, predict, verify
from src.benchmark.bundle import commands
from src.benchmark.model_files import Found, discover, model_files, name_below, notes_on
from src.benchmark.results import render, rows, write_csv, write_json
from src.cli.command import application
from src.common.errors import EXIT_FAILED, EXIT_OK, StageError, Unavailable, UserError
from src.config.checks import check_benchmark
from src.config.idle_keys import Idle, refuse_idle
from src.config.ranges import MOST_THREADS, refuse_outside
from src.config.schema import BenchmarkConfig, DataConfig, DecisionConfig, ExportConfig, RuntimeConfig
from src.config.unused_keys import refuse_unused_data
from src.data import Sample
from src.evaluate.files import load_detections
from src.models.base import family
from src.models.flops import size_of
from src.records.schema import AccuracyGate, Artifact, Failure, Measurement, Verification
from src.records.tiling import tiling_of

Job = tuple[Artifact, str]
Reference = tuple[float, Path]  # mAP50-95 of a checkpoint, and the file with its detections


@dataclass
class BenchArgs:
    """Arguments of the command."""

    artifacts: str = MISSING  # folder of .pt, .torchscript, .onnx, OpenVINO folders, .tflite, .engine
    data: DataConfig = field(default_factory=DataConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    benchmark: BenchmarkConfig = field(default_factory=BenchmarkConfig)
    out: str = "outputs/bench"  # benchmark.csv, benchmark.json, raw samples, figures/
    split: str = "val"
    imgsz: int | None = None  # px; for files that don't say theirs
    limit: int | None = None  # images of the split to verify on; null = all
    tile: int | None = None  # px; verified and timed end to end with tiles of this side too; null = whole only
    overlap: float = 0.2  # share of a tile that the next one repeats
    merge: str = "iou"  # boxes of several tiles are one by: iou, or smaller (share of the smaller box)
    trust: bool = False  # allow checkpoints that need unsafe unpickling
    device: str = "cpu"
    threads: int = 0  # 0 = all cores that this process may use
    seed: int = 0
    figures: bool = True
    outputs: str = "outputs"


IDLE: list[Idle[BenchArgs]] = [
    Idle("overlap merge", lambda a: a.tile is not None, "shapes tiles, and there are none", "tile=640"),
]


@dataclass
class Accuracy:
    """What the accuracy pass found."""

    verifications: list[Verification] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


def run(args: BenchArgs) -> int:
    """Find the files, verify them, time them, write and print the results."""
    from rich.console import Console

    check_benchmark(args.benchmark)
    refuse_outside(
        {
            "imgsz": (args.imgsz, 32, 8192),
            "limit": (args.limit, 1, 1e12),
            "threads": (args.threads, 0, MOST_THREADS),
            "seed": (args.seed, 0, 2**32 - 1),
        }
    )
    tiling = tiling_of(args.tile, args.overlap, args.merge)
    refuse_idle(args, IDLE)
    refuse_unused_data(args.data)
    out = Path(args.out)
    model_files(Path(args.artifacts))  # before a dataset is prepared for nothing
    samples, names = _samples(args)
    found = discover(Path(args.artifacts), imgsz=args.imgsz, trust=args.trust, classes=len(names))
    artifacts = found.artifacts
    files = {a.sha256: name_below(Path(args.artifacts), Path(a.path)) for a in artifacts}
    jobs = [(a, e) for a in artifacts for e in args.runtime.engines if engines.supports(e, a.format, a.precision)]
    console = Console(width=None if sys.stdout.isatty() else 160)
    for failure in found.failures:
        console.print(f"{failure.target}: {failure.message}", style="red", highlight=False, markup=False)
    accuracy = _verify(jobs, samples, names, args, out, console)
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
        labels=[files[a.sha256] for a, _ in timed],
        tilings=[tiling] * len(timed),
        progress=lambda text: console.print(text, style="dim", highlight=False),
    )
    idle = _without_engine(found, jobs, files)
    skipped = [*found.failures, *idle, *accuracy.failures, *(_with_file(f, jobs, files) for f in failures)]
    skipped += _unequal(measurements, accuracy.verifications, out)
    table = rows(measurements, accuracy.verifications, files)
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


def _with_file(failure: Failure, jobs: list[Job], files: dict[str, str]) -> Failure:
    """A failed measurement with the file's name in its target."""
    own = [files[a.sha256] for a, engine in jobs if f"{engine}/{a.label}" == failure.target]
    return replace(failure, target=f"{failure.target} {' or '.join(own)}".strip())


def _without_engine(found: Found, jobs: list[Job], files: dict[str, str]) -> list[Failure]:
    """Files that none of the engines asked for can run: they are named, not passed over."""
    run = {artifact.sha256 for artifact, _ in jobs}
    left = [a for a in found.artifacts if a.sha256 not in run]
    return [
        Failure("verify", f"{files[a.sha256]} ({a.label})", "unavailable", "no engine asked for runs it") for a in left
    ]


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


def _samples(args: BenchArgs) -> tuple[list[Sample], list[str]]:
    from src.data import load_split
    from src.data.prepare import prepare

    ref = prepare(args.data, Path(args.outputs)).ref
    samples = load_split(ref, args.split)[: args.limit]
    if not samples:
        raise UserError("the split holds no images", value=args.split, remedy="split=train, val or test")
    return samples, ref.class_names


def _verify(
    jobs: list[Job], samples: list[Sample], names: list[str], args: BenchArgs, out: Path, console: Any
) -> Accuracy:
    """Accuracy of every file on every runtime, against the checkpoint it was made from; nothing else is a reference."""
    found = Accuracy()
    ordered = sorted(jobs, key=lambda job: (job[0].format != "pytorch", job[0].precision != "fp32"))
    references: dict[str, Reference] = {}  # by the hash of the checkpoint
    for artifact, engine in ordered:
        file = name_below(Path(args.artifacts), Path(artifact.path))
        console.print(f"verify: {engine} {artifact.label} {file}", style="dim", highlight=False, markup=False)
        try:
            metrics, saved = _accuracy(artifact, engine, samples, len(names), args, out)
        except (StageError, Unavailable, UserError) as error:
            found.failures.append(_failed(f"{engine}/{artifact.label} {file}", error))
            continue
        checkpoint = artifact.format == "pytorch"
        first = checkpoint and artifact.sha256 not in references
        if first:
            references[artifact.sha256] = (metrics["mAP50-95"], saved)
        reference = references.get(artifact.sha256 if checkpoint else artifact.source_sha256)
        notes = notes_on(artifact, names)
        for note in notes:
            console.print(f"{file}: {note}", style="yellow", highlight=False, markup=False)
        item = _verification(artifact, engine, args, metrics, saved, reference, first, out)
        found.verifications.append(replace(item, notes=notes))
    return found


def _failed(target: str, error: Exception) -> Failure:
    """Why a file was not judged, in one row; the others go on."""
    if isinstance(error, Unavailable):
        return Failure("verify", target, "unavailable", str(error))
    text = error.message if isinstance(error, StageError) else str(error)
    if isinstance(error, UserError):
        text = error.what
    return Failure("verify", target, "error", f"failed, because {text}")


def _verification(
    artifact: Artifact,
    engine: str,
    args: BenchArgs,
    metrics: dict[str, float],
    saved: Path,
    reference: Reference | None,
    first: bool,
    out: Path,
) -> Verification:
    compared = verify.agreement(reference[1], saved) if reference else {}
    gate: AccuracyGate = "reference" if first else "none"
    if reference and not first:
        max_loss, warn_below = DecisionConfig().max_export_loss, ExportConfig().warn_below
        limits = {"max_loss": max_loss, "warn_below": warn_below}
        gate = verify.gate(artifact.precision, metrics["mAP50-95"], reference[0], compared, **limits)
    return Verification(
        format=artifact.format,
        precision=artifact.precision,
        artifact_sha256=artifact.sha256,
        runtime=engine,
        split=args.split,
        metrics=metrics,
        reference_map=reference[0] if reference else 0.0,
        gate=gate,
        detections_file=saved.relative_to(out).as_posix(),
        extra=compared,
    )


def _accuracy(
    artifact: Artifact, engine: str, samples: list[Sample], n_classes: int, args: BenchArgs, out: Path
) -> tuple[dict[str, float], Path]:

    from src.evaluate import evaluate

    saved = predict(
        artifact,
        engine,
        [s.image for s in samples],
        device=args.device,
        threads=args.threads,
        out=out / "detections" / f"{engine}-{artifact.label.replace('/', '-')}-{artifact.sha256[:8]}.npz",
        trust=args.trust,
        tiling=tiling_of(args.tile, args.overlap, args.merge),
    )
    found = load_detections(saved, len(samples))
    highest = max((int(item.classes.max(initial=-1)) for item in found), default=-1)
    if not artifact.names and highest >= n_classes:
        text = f"the model answers with class {highest}, and the dataset has {n_classes} classes"
        raise UserError(text, value=artifact.path)
    return evaluate(found, samples, n_classes).as_dict(), saved


def _gflops(artifacts: list[Artifact], trust: bool) -> dict[str, float]:
    """GFLOPs of one image of the one checkpoint in the folder; without one they are not known."""
    checkpoints = [a for a in artifacts if a.format == "pytorch"]
    if len(checkpoints) != 1:
        return {}
    one = checkpoints[0]
    loaded = family(one.family).load(one.path, imgsz=max(one.input_shape[2:]), trust=trust)
    import torch

    return {one.sha256: size_of(loaded.module, lambda module: module(torch.zeros(1, *one.input_shape[1:])))[1]}


def main() -> None:
    """Compose the arguments by Hydra and run."""
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    if word in commands.COMMANDS:
        del sys.argv[1]
        commands.main(word)
    if any(one.startswith("remote=") for one in sys.argv[1:]):
        commands.main("remote")
    application(run, "benchmark", BenchArgs, {"data": "digits", "runtime": "all", "benchmark": "standard"})


if __name__ == "__main__":
    main()
