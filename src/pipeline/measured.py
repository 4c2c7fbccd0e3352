"""What has been found for the finalists, and their measurement: all artifacts together, interleaved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from src.benchmark import measure
from src.benchmark.verify import timed_outputs_match
from src.common.errors import StageError, Unavailable, stop_if_full
from src.config.schema import AppConfig
from src.data import load_split
from src.pipeline.accuracy import device_of
from src.pipeline.context import Context, Inputs
from src.pipeline.resource_use import ResourceUse
from src.records.schema import (
    Artifact,
    Failure,
    FinalistRecord,
    KeptFloat,
    LayerLoss,
    Measurement,
    TrialRecord,
    Verification,
)
from src.records.tiling import SMALLEST, Tiling, numbers_of
from src.runtime import supports

Say = Callable[[str], None]
Key = tuple[str, str, tuple[float, ...]]  # hash of the file, engine, numbers of its tiling
TILE_NUMBERS = tuple(numbers_of(Tiling(SMALLEST)))


@dataclass
class Findings:
    """What has been found for one finalist so far."""

    record: TrialRecord
    cfg: AppConfig
    folder: Path
    artifacts: list[Artifact] = field(default_factory=list)
    verifications: list[Verification] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    test: dict[str, float] = field(default_factory=dict)
    post_training: list[Verification] = field(default_factory=list)  # of the network that QAT began from
    layer_losses: dict[str, list[LayerLoss]] = field(default_factory=dict)  # by artifact's sha256
    kept_float: list[KeptFloat] = field(default_factory=list)
    used: ResourceUse = field(default_factory=ResourceUse)

    def fail(self, stage: str, target: str, error: Exception) -> None:
        """Record what did not happen.

        Raises:
            DiskFullError: for want of room: the stage stops, and is done again when there is some.
        """
        stop_if_full(self.folder, error)
        kind = "unavailable" if isinstance(error, Unavailable) else "error"
        message = error.message if isinstance(error, StageError) else str(error)
        self.failures.append(Failure(stage, target, kind, message[:500]))  # type: ignore[arg-type]


def pairs(one: Findings) -> list[tuple[Artifact, str]]:
    """Every artifact with every configured runtime that can run it."""
    engines = one.cfg.runtime.engines
    return [(a, e) for a in one.artifacts for e in engines if supports(e, a.format, a.precision)]


def measure_all(found: Sequence[Findings], context: Context, inputs: Inputs, say: Say) -> None:
    """Time all artifacts of all finalists together, interleaved, so that drift of the machine hits all alike."""
    owners = {_key(one, a, engine): one for one in found for a, engine in pairs(one) if _passed(one, a, engine)}
    ours = [(one, a, engine) for one in found for a, engine in pairs(one) if owners.get(_key(one, a, engine)) is one]
    jobs = [(a, engine) for _, a, engine in ours]
    if not jobs:
        return
    cfg = found[0].cfg
    images = [s.image for s in load_split(inputs.dataset(cfg), "val")]
    measurements, failures = measure(
        jobs,
        cfg.benchmark,
        images,
        device=device_of(cfg),
        threads=context.threads,
        out_dir=context.places.benchmark,
        base=context.folder,
        seed=cfg.seed,
        trust=cfg.model.trust,
        gflops={r.checkpoint.sha256: r.checkpoint.gflops for r in (one.record for one in found) if r.checkpoint},
        labels=[_label(one) for one, _, _ in ours],
        tilings=[one.cfg.tiling for one, _, _ in ours],
        decisive=(cfg.decision.latency, f"{cfg.decision.scope}/{cfg.decision.batch}"),
        progress=say,
    )
    keep_measurements(measurements, owners, context.folder)
    for failure in failures:
        found[0].failures.append(failure)


def _label(one: Findings) -> str:
    """What tells a finalist from the others on a narrow terminal."""
    record, cut = one.record, f" tile {one.cfg.tile}" if one.cfg.tile else ""
    return f"T{record.trial} {record.model} {record.imgsz} px lr {record.lr:.3g}{cut}"


def _key(one: Findings, artifact: Artifact, engine: str) -> Key:
    """What is measured: with and without tiles the same file is two things."""
    return artifact.sha256, engine, tuple(numbers_of(one.cfg.tiling).values())


def key_of(m: Measurement) -> Key:
    """The same of a measurement."""
    return m.artifact_sha256, m.runtime, tuple(m.extra[k] for k in TILE_NUMBERS if k in m.extra)


def keep_measurements(measurements: Sequence[Measurement], owners: Mapping[Key, Findings], folder: Path) -> None:
    """Give each measurement to its finalist, unless what was timed is not what was judged."""
    strangers: set[Key] = set()
    for m in measurements:
        key = key_of(m)
        if key not in strangers and not is_same_model(m, owners[key], folder):
            strangers.add(key)
            message = "outputs of timed runs differ from those of the accuracy pass"
            owners[key].failures.append(Failure("benchmark", f"{m.runtime}/{m.format}/{m.precision}", "error", message))
    for m in measurements:
        if (key := key_of(m)) not in strangers:
            owners[key].measurements.append(m)


def is_same_model(m: Measurement, owner: Findings, folder: Path) -> bool:
    """Whether what was timed is what was judged: equal outputs on the same images, where both were kept."""
    if m.scope != "model_only" or m.batch != 1:
        return True
    judged = (v for v in owner.verifications if v.split == "val" and v.runtime == m.runtime)
    files = [folder / v.detections_file for v in judged if v.artifact_sha256 == m.artifact_sha256]
    return all(timed_outputs_match(folder / m.samples_file, path) for path in files)


def _passed(one: Findings, artifact: Artifact, engine: str) -> bool:
    """Only what ran in the accuracy pass is timed."""
    return any(v.artifact_sha256 == artifact.sha256 and v.runtime == engine for v in one.verifications)


def figures_of(m: Measurement) -> dict[str, float]:
    """What was measured, by the names that metrics have; percentiles without enough samples are left out."""
    latency = {f"latency_{n}_ms": getattr(m.latency, n) for n in ("mean", "p50", "p90", "p95", "p99")}
    known = {name: value for name, value in latency.items() if value is not None}
    return {**known, "throughput_ips": m.throughput_ips, "memory_mb": m.memory_mb, "size_mb": m.size_bytes / 1e6}


def bench_metrics(record: FinalistRecord) -> dict[str, float]:
    """Measurements under the contract's names: bench/<runtime>/<format>/<precision>/b<batch>/<name>."""
    out: dict[str, float] = {}
    for m in record.measurements:
        if m.scope != "model_only":
            continue
        stem = f"bench/{m.runtime}/{m.format}/{m.precision}/b{m.batch}"
        figures = {**figures_of(m), "load_ms": m.load_ms, "cold_ms": m.cold_ms}
        out.update({f"{stem}/{name}": value for name, value in figures.items()})
    for v in record.verifications:
        if v.split == "val":
            out[f"bench/{v.runtime}/{v.format}/{v.precision}/b1/mAP50-95"] = v.metrics["mAP50-95"]
    return out
