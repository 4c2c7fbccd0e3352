"""Blocks to measurements: raw samples saved, latencies summed up, ratios to float32 and to the machine's limit."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.benchmark import stats
from src.benchmark.disturbance import LIMIT
from src.benchmark.roofline import share
from src.common.hashes import hash_of
from src.common.whole_files import write_text
from src.machine.environment import cores
from src.records.schema import Artifact, Measurement, Scope
from src.records.tiling import Tiling, numbers_of


@dataclass
class Blocks:
    """What the rounds gave for one artifact on one runtime."""

    artifact: Artifact
    runtime: str
    answers: list[dict[str, Any]] = field(default_factory=list)  # one for every round
    label: str = ""  # of the configuration, for people
    tiling: Tiling | None = None  # how large pictures are cut, end to end
    retakes: int = 0  # blocks that were measured again, because others disturbed them

    @property
    def target(self) -> str:
        """`runtime/format/precision`, as in metric names."""
        return f"{self.runtime}/{self.artifact.label}"

    @property
    def engine_and_file(self) -> str:
        """The same for people: an engine that runs its own format is named once."""
        return self.artifact.label if self.runtime == self.artifact.format else f"{self.runtime} {self.artifact.label}"

    def samples(self, part: str) -> list[list[float]]:
        """Samples of one part (`scope/batch`), a list for every round, ms."""
        return [answer[part]["samples_ms"] for answer in self.answers]

    def parts(self) -> list[str]:
        """What was measured: `model_only/<batch>` and `end_to_end/1`."""
        return [key for key in self.answers[0] if "/" in key]


@dataclass(frozen=True)
class Summary:
    """Sums up all blocks of one run."""

    out_dir: Path
    base: Path
    threads: int
    device: str
    zero_mb: dict[int, float]  # by image size
    gemm: float  # GFLOP/s; 0 = not measured
    gflops: dict[str, float]  # of one image, by source
    cores: int = 0  # of the machine that was measured; 0 = this one

    def measurements(self, blocks: Sequence[Blocks]) -> list[Measurement]:
        """One for every artifact, runtime, scope and batch size."""
        return [m for block in blocks for m in self._of(block, _reference(block, blocks))]

    def _of(self, block: Blocks, reference: Blocks | None) -> list[Measurement]:
        file = self._save(block)
        found = [self._part(block, part, file, reference) for part in block.parts()]
        best = max((m for m in found if m.scope == "model_only"), key=lambda m: m.throughput_ips)
        if self.threads < (self.cores or cores()):
            return found
        offline = {"offline_ips": best.throughput_ips, "offline_batch": float(best.batch)}
        return [dataclasses.replace(m, extra=m.extra | offline) if m.scope == "model_only" else m for m in found]

    def _save(self, block: Blocks) -> str:
        """Write the raw samples; returns the file relative to the base folder."""
        artifact = block.artifact
        cut = f"-tile{hash_of(dataclasses.asdict(block.tiling))[:8]}" if block.tiling else ""
        name = f"{block.runtime}-{artifact.format}-{artifact.precision}-{artifact.sha256[:12]}{cut}.json"
        raw = {
            "runtime": block.runtime,
            "artifact": dataclasses.asdict(artifact),
            "threads": self.threads,
            "device": self.device,
            "gemm_gflops": self.gemm,
            **({"tiling": dataclasses.asdict(block.tiling)} if block.tiling else {}),
            "rounds": block.answers,
        }
        write_text(self.out_dir / name, json.dumps(raw, sort_keys=True) + "\n")
        return (self.out_dir / name).resolve().relative_to(self.base.resolve()).as_posix()

    def _part(self, block: Blocks, part: str, file: str, reference: Blocks | None) -> Measurement:
        rounds = [answer[part] for answer in block.answers]
        name, _, text = part.partition("/")
        scope: Scope = "end_to_end" if name == "end_to_end" else "model_only"
        artifact, batch, samples = block.artifact, int(text), block.samples(part)
        total_ms, count = sum(map(sum, samples)), sum(map(len, samples))
        latency = stats.summarise(samples)
        return Measurement(
            format=artifact.format,
            precision=artifact.precision,
            artifact_sha256=artifact.sha256,
            runtime=block.runtime,
            runtime_version=str(block.answers[0]["runtime_version"]),
            device=str(block.answers[0]["device"]),
            scope=scope,
            batch=batch,
            threads=self.threads,
            imgsz=artifact.input_shape[-1],
            latency=latency,
            throughput_ips=1000 * batch * count / total_ms,
            load_ms=_median(block.answers, "load_ms"),
            cold_ms=_median(block.answers, "cold_ms"),
            memory_mb=max(max(r["peak_mb"] for r in rounds) - self.zero_mb[artifact.input_shape[-1]], 0.0),
            size_bytes=artifact.size_bytes,
            samples_file=file,
            extra=_stages(rounds)
            | {"warmup_calls": float(sum(r["warmup_calls"] for r in rounds))}
            | numbers_of(block.tiling)
            | {"vram_mb": max(float(r.get("vram_mb", 0.0)) for r in rounds)}
            | self._against_peak(artifact, batch, latency.p50, scope)
            | {"effective_samples": stats.effective_samples(samples)}
            | _disturbed(rounds, block.retakes)
            | _energy(rounds, batch)
            | _against_float32(block, part, reference),
            rounds=stats.round_values(samples),
        )

    def _against_peak(self, artifact: Artifact, batch: int, p50_ms: float, scope: Scope) -> dict[str, float]:
        """Share of the matrix product's peak; beyond 1 it is honest for int8 only, whose peak is higher."""
        gflops = self.gflops.get(artifact.source_sha256, 0.0)
        if not self.gemm or not gflops or scope != "model_only":
            return {}
        return {"gemm_gflops": self.gemm, "gemm_share": share(gflops, batch, p50_ms, self.gemm)}


def _reference(block: Blocks, blocks: Sequence[Blocks]) -> Blocks | None:
    """The float32 artifact of the same source on the same runtime, of the same format where there is one."""
    if block.artifact.precision == "fp32":
        return None
    same = [
        other
        for other in blocks
        if other.artifact.precision == "fp32"
        and other.runtime == block.runtime
        and other.tiling == block.tiling
        and other.artifact.source_sha256 == block.artifact.source_sha256
    ]
    return min(same, key=lambda other: other.artifact.format != block.artifact.format, default=None)


def _against_float32(block: Blocks, part: str, reference: Blocks | None) -> dict[str, float]:
    """How long it takes in units of float32 on the same runtime.

    A reduced precision that is slower costs accuracy for nothing: `slower_than_fp32` is 1 when the whole interval lies
    beyond what counts as a tie.
    """
    if reference is None or part not in reference.parts():
        return {}
    result = stats.compare(block.samples(part), reference.samples(part))
    return {
        "ratio_to_fp32": result.ratio,
        "ratio_to_fp32_low": result.low,
        "ratio_to_fp32_high": min(result.high, 1e9),
        "slower_than_fp32": float(result.surely_slower()),
    }


def _disturbed(rounds: list[dict[str, Any]], retakes: int) -> dict[str, float]:
    """What others took of the cores while it was measured.

    The mean share, rounds beyond the limit, blocks measured again. Nothing where the system doesn't tell: not known is
    not quiet.
    """
    shares = [float(share) for r in rounds if (share := r.get("foreign_cpu")) is not None]
    if not shares:
        return {}
    return {
        "foreign_cpu": sum(shares) / len(shares),
        "contaminated_rounds": float(sum(share > LIMIT for share in shares)),
        "remeasured_blocks": float(retakes),
    }


def _energy(rounds: list[dict[str, Any]], batch: int) -> dict[str, float]:
    """Joules of an image, all counters together, with the 95 % interval over rounds.

    Nothing where a round lacks a counter that another has, or where a counter didn't move: not known is not 0.
    """
    counted: list[dict[str, float]] = [r.get("energy_j") or {} for r in rounds]
    sums = [sum(joules.values()) for joules in counted]
    if len({tuple(sorted(joules)) for joules in counted}) != 1 or min(sums) <= 0:
        return {}
    images = [batch * len(r["samples_ms"]) for r in rounds]
    mean = sum(sums) / sum(images)
    found = stats.estimate([total / n for total, n in zip(sums, images)])
    ends = (
        {"energy_image_low_j": min(found.low, mean), "energy_image_high_j": max(found.high, mean)}
        if len(rounds) > 1
        else {}
    )
    return {"energy_image_j": mean, **ends}


def _median(items: list[dict[str, Any]], key: str) -> float:
    values = sorted(float(item[key]) for item in items)
    return values[len(values) // 2]


def _stages(rounds: list[dict[str, Any]]) -> dict[str, float]:
    """Median of every stage, ms, over all rounds."""
    names = list(rounds[0]["stages_ms"])
    pooled = {name: sorted(v for r in rounds for v in r["stages_ms"][name]) for name in names}
    return {f"{name}_ms": values[len(values) // 2] for name, values in pooled.items()}
