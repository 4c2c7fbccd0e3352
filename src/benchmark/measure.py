"""The protocol: interleaved blocks over rounds, a fresh process each, then one `Measurement` per artifact and batch.

What a machine does in one minute it does not do in the next: two blocks of the same model, one after the other,
differed by up to 1.24 times here, and by at most 4 % when interleaved. So all competing artifacts are measured in every
round, in a new random order.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from src import runtime as engines
from src.benchmark import worker
from src.benchmark.pictures import key_of
from src.benchmark.rounds import Effort, Rounds
from src.benchmark.summary import Blocks, Summary
from src.common.errors import StageError, Unavailable, UserError
from src.inference import VALIDATION, Thresholds, spec_of
from src.machine.environment import cores
from src.machine.isolation import run_job
from src.records.schema import Artifact, Failure, Measurement
from src.records.tiling import Tiling

Job = tuple[Artifact, str]
TILES_TAKE = 10  # times as long as a whole picture, before a job counts as hung
STARTUP_S = 180.0  # imports and loading, before a block counts as hung


class Plan(Protocol):
    """How long and how often to measure: the group `benchmark`, or what a bundle says of it."""

    warmup: int
    min_seconds: float
    min_samples: int
    max_seconds: float
    rounds: int
    batches: list[int]
    precision: float
    extra_seconds: float


@dataclass(frozen=True)
class Setting:
    """What all blocks of one run share."""

    cfg: Plan
    images: list[str]
    device: str
    threads: int
    trust: bool
    end_to_end: bool
    decisive: str  # part of a block
    pictures: Mapping[str, str] = field(default_factory=dict)  # images resized elsewhere, by `pictures.key_of`


def measure(
    jobs: Sequence[Job],
    cfg: Plan,
    images: Sequence[str],
    *,
    device: str = "cpu",
    threads: int = 0,
    out_dir: Path,
    base: Path,
    seed: int = 0,
    trust: bool = False,
    end_to_end: bool = True,
    gflops: Mapping[str, float] | None = None,
    labels: Sequence[str] = (),
    tilings: Sequence[Tiling | None] = (),
    decisive: tuple[str, str] = ("p50", "model_only/1"),
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[list[Measurement], list[Failure]]:
    """Measure competing artifacts against each other.

    Args:
        jobs: artifacts, each with the runtime to measure it on.
        cfg: how long and how often.
        images: files to measure with; the first eight are used.
        device: cpu, cuda or cuda:N.
        threads: threads of the engine; 0 = all usable cores.
        out_dir: raw samples go here, one JSON file per artifact and runtime.
        base: `samples_file` of a measurement is relative to this folder.
        seed: of the order of the blocks.
        trust: allow checkpoints that need unsafe unpickling.
        end_to_end: also time from the file in memory to boxes, at batch 1.
        gflops: GFLOPs of one image by `Artifact.source_sha256`; with them the machine's own limit is measured too, and
            each measurement says which share of it is reached.
        labels: what to call the configuration of each job on the terminal, in the order of `jobs`.
        tilings: how each job cuts large pictures, in the order of `jobs`; end to end it is timed with all tiles.
        decisive: the statistic, and the part (`scope/batch`) of a block, that must be known to within `cfg.precision`.
        progress: told what is being measured.

    Returns:
        Measurements (per job one for every batch size, and one end to end), and what could not be measured and why.
    """
    if not images:
        raise UserError("no images to measure with", remedy="use a dataset whose val split is not empty")
    setting = Setting(cfg, list(images)[:8], device, threads or cores(), trust, end_to_end, decisive[1])
    names = list(labels) or [""] * len(jobs)
    cut = list(tilings) or [None] * len(jobs)
    blocks = [Blocks(a, e, label=name, tiling=t) for (a, e), name, t in zip(jobs, names, cut, strict=True)]
    failures: list[Failure] = []
    peaks = [0.0]
    peak = (lambda: peaks.append(_gemm(setting, failures))) if gflops and device == "cpu" else (lambda: None)
    effort = Effort(cfg.rounds, cfg.precision, cfg.extra_seconds, *decisive)
    one = partial(_measure_block, setting=setting, failures=failures)
    done = Rounds(blocks, effort, one, progress, random.Random(seed), peak).run()
    summary = Summary(out_dir, base, setting.threads, device, _zeros(done, setting), max(peaks), dict(gflops or {}))
    return summary.measurements(done), failures


def _measure_block(block: Blocks, setting: Setting, failures: list[Failure]) -> dict[str, Any] | None:
    """Run one block; what goes wrong becomes a `Failure`, and the artifact leaves the competition."""
    try:
        return measure_block(block, setting)
    except Unavailable as error:
        failures.append(Failure("benchmark", block.target, "unavailable", str(error)))
    except UserError as error:
        failures.append(Failure("benchmark", block.target, "error", str(error)))
    except StageError as error:
        failures.append(Failure("benchmark", block.target, "error", error.message))
    return None


def measure_block(block: Blocks, setting: Setting) -> dict[str, Any]:
    """One block: what its process answered.

    Raises:
        StageError: it failed, crashed or hung, or its outputs changed.
        Unavailable: the runtime can't be had here, or doesn't run such files.
        UserError: a file is damaged.
    """
    engines.availability(block.runtime)
    if not engines.supports(block.runtime, block.artifact.format, block.artifact.precision):
        raise Unavailable(f"{block.runtime} does not run {block.artifact.label}")
    answer = run_job(_job(block, setting), target=block.target, threads=setting.threads, timeout_s=_limit(setting))
    unequal = [k for k, v in answer.items() if isinstance(v, dict) and not v.get("outputs_equal", True)]
    if unequal:
        raise StageError("benchmark", block.target, f"timed outputs differ from the first pass ({unequal[0]})")
    return answer


def _job(block: Blocks, setting: Setting) -> dict[str, Any]:
    cfg = setting.cfg
    fixed = block.artifact.input_shape[0]  # a file with a fixed batch runs at that one only
    return {
        "kind": "measure",
        "artifact": dataclasses.asdict(block.artifact),
        "runtime": block.runtime,
        "device": setting.device,
        "threads": setting.threads,
        "trust": setting.trust,
        "images": setting.images,
        "pictures": setting.pictures.get(key_of(spec_of(block.artifact)[0]), ""),
        "tiling": dataclasses.asdict(block.tiling) if block.tiling else None,
        "batches": list(cfg.batches) if fixed < 0 else [fixed],
        "end_to_end": setting.end_to_end and fixed in (-1, 1),
        "decisive": setting.decisive,
        "plan": {
            "warmup": cfg.warmup,
            "min_samples": -(-cfg.min_samples // cfg.rounds),
            "min_seconds": cfg.min_seconds / cfg.rounds,
            "max_seconds": cfg.max_seconds,
        },
    }


def _limit(setting: Setting) -> float:
    """Seconds after which a block counts as hung: each of its parts may warm up for half of its time."""
    parts = len(setting.cfg.batches) + int(setting.end_to_end)
    return STARTUP_S + 2 * setting.cfg.max_seconds * parts


def _zeros(blocks: Sequence[Blocks], setting: Setting) -> dict[int, float]:
    """Peak of a process without an engine, MB, by image size: its inputs are in memory too."""
    sizes = {block.artifact.input_shape[-1]: block for block in reversed(blocks)}
    return {size: zero_of(block, setting) for size, block in sizes.items()}


def zero_of(block: Blocks, setting: Setting) -> float:
    """Peak of a process that does what a block does but without an engine, MB."""
    job = {**_job(block, setting), "kind": "baseline"}
    return float(run_job(job, target="empty process", threads=setting.threads, timeout_s=STARTUP_S)["peak_mb"])


def _gemm(setting: Setting, failures: list[Failure]) -> float:
    """The machine's limit in this round, GFLOP/s; 0 when it can't be measured."""
    try:
        job = {"kind": "gemm", "threads": setting.threads}
        return float(run_job(job, target="gemm", threads=setting.threads, timeout_s=STARTUP_S)["gflops"])
    except StageError as error:
        failures.append(Failure("benchmark", "gemm", "error", error.message))
        return 0.0


def predict(
    artifact: Artifact,
    runtime: str,
    images: Sequence[str],
    *,
    device: str = "cpu",
    threads: int = 0,
    out: Path,
    thresholds: Thresholds = VALIDATION,
    trust: bool = False,
    timeout_s: float | None = None,
    isolated: bool = True,
    pictures: str = "",
    tiling: Tiling | None = None,
) -> Path:
    """Run the shared detection path over images, in a process of its own unless told otherwise.

    Args:
        artifact: the model file.
        runtime: the engine.
        images: files, in the order that `image_index` counts.
        device: cpu, cuda or cuda:N.
        threads: threads of the engine; 0 = all usable cores.
        out: npz file to write: `image_index`, `boxes` (xyxy, px of the image), `scores`, `classes` as flat arrays,
            `n_images`, and `digests` [n_images, 2] of the raw outputs.
        thresholds: what counts as a detection.
        trust: allow a checkpoint that needs unsafe unpickling.
        timeout_s: None = three minutes and ten seconds an image; with tiles ten times that, as nobody knows how many.
        isolated: False runs in this process, for a caller that has the engine loaded anyway.
        pictures: file of the images at the size of the input (`src.benchmark.pictures`); they are not read then.
        tiling: how large pictures are cut; None = they are looked at whole. Digests are those of whole pictures.

    Returns:
        `out`.

    Raises:
        StageError: the engine failed, crashed or hung.
        Unavailable: it can't be had here.
        UserError: a file is damaged.
    """
    engines.availability(runtime)
    threads = threads or cores()
    job = {
        "kind": "predict",
        "artifact": dataclasses.asdict(artifact),
        "runtime": runtime,
        "device": device,
        "threads": threads,
        "trust": trust,
        "images": list(images),
        "pictures": pictures,
        "thresholds": dataclasses.asdict(thresholds),
        "tiling": dataclasses.asdict(tiling) if tiling else None,
        "out": str(out),
    }
    if not isolated:
        worker.predict(job)
        return out
    limit = timeout_s if timeout_s is not None else STARTUP_S + 10 * len(images) * (TILES_TAKE if tiling else 1)
    run_job(job, target=f"{runtime}/{artifact.label}", threads=threads, timeout_s=limit, stage="verify")
    return out
