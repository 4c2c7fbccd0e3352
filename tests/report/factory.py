"""Builds saved sweeps of synthetic records: the report is a pure function of them."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from src.common.hashes import hash_of
from src.common.speed import estimate
from src.records.schema import (
    AccuracyGate,
    Artifact,
    Checkpoint,
    DatasetRef,
    DeviceRecord,
    Environment,
    EvaluationRecord,
    Failure,
    FinalistRecord,
    Latency,
    Measurement,
    SweepRecord,
    TrialRecord,
    Verification,
)
from src.records.store import save

HOST = Environment(
    host="5e1f00d5e1f00d00",
    cpu="Example CPU @ 2.0 GHz",
    cores=2,
    memory_gb=23.5,
    gpu="",
    python="3.11.9",
    platform="Linux x86_64",
    libraries={"ultralytics": "8.4.190", "torch": "2.14.1", "onnxruntime": "1.31.1"},
    git_commit="0123456789abcdef0123456789abcdef01234567",
    git_dirty=False,
    lock_sha256="ab" * 32,
)
DATASET = DatasetRef(
    name="digits",
    yaml="outputs/datasets/digits/data.yaml",
    fingerprint="fd" * 32,
    split_sizes={"train": 240, "val": 120, "test": 120},
    class_names=[str(i) for i in range(10)],
)
WHEN = "2026-11-21T08:00:00+00:00"


def sha(*parts: object) -> str:
    """A made-up hash that follows from its parts."""
    return (hash_of([str(p) for p in parts]) * 6)[:64]


def trial(
    number: int,
    model: str = "v8n",
    imgsz: int = 160,
    lr: float = 0.002,
    seed: int = 1,
    score: float = 0.4,
    **changes: Any,
) -> TrialRecord:
    """A complete trial of 10 epochs whose best one is the eighth."""
    curve = [score * (1 - math.exp(-(e + 1) / 3)) / (1 - math.exp(-8 / 3)) for e in range(8)] + [score * 0.98] * 2
    record = TrialRecord(
        sweep="friday",
        trial=number,
        state="complete",
        model=model,
        imgsz=imgsz,
        lr=lr,
        seed=seed,
        overrides=[f"model={model}", f"imgsz={imgsz}", f"lr={lr}", f"seed={seed}"],
        config_id=hash_of([model, imgsz, lr]),
        config_hash=hash_of([model, imgsz, lr, seed]),
        run_id=sha("run", number)[:32],
        started_at=WHEN,
        finished_at="2026-11-21T08:02:00+00:00",
        environment=HOST,
        dataset=DATASET,
        checkpoint=Checkpoint(
            path=f"outputs/sweeps/friday/trials/{number:04d}/train/weights/best.pt",
            sha256=sha("pt", number),
            weights_sha256=sha("weights", number),
            model=model,
            imgsz=imgsz,
            seed=seed,
            epochs=10,
            best_epoch=8,
            start=f"pretrained:yolo{model}.pt",
            parameters=3_011_238,
            gflops=0.51,
        ),
        metrics={
            "val/mAP50-95": score,
            "val/mAP50": min(1.0, score * 1.4),
            "val/precision": 0.6,
            "val/recall": 0.5,
            "val/f1": 0.55,
        },
        history=[
            {"epoch": e + 1.0, "train/box_loss": 2.0 / (e + 1) + 0.8, "lr": lr, "val/mAP50-95": value}
            for e, value in enumerate(curve)
        ],
        timings_s={"train": 100.0, "evaluate": 5.0},
    )
    return replace(record, **changes)


def failed(number: int, message: str = "loss is not finite in epoch 2", **changes: Any) -> TrialRecord:
    """A trial whose training failed."""
    failure = Failure("train", "v8n", "error", message)
    return replace(
        trial(number, **changes), state="failed", metrics={}, history=[], checkpoint=None, failures=[failure]
    )


@dataclass(frozen=True)
class Target:
    """An artifact on a runtime, and how it does relative to its source."""

    format: str = "onnx"
    precision: str = "fp32"
    runtime: str = "onnxruntime"
    kept: float = 1.0  # share of the source's mAP
    ms: float = 6.0
    size_mb: float = 12.0
    gate: AccuracyGate = "pass"
    p99: bool = True
    batches: tuple[int, ...] = (1,)
    timed: bool = True


PYTORCH = Target("pytorch", "fp32", "pytorch", 1.0, 14.0, 6.2, "reference")
ONNX = Target()
INT8 = Target("onnx", "int8", "onnxruntime", 0.985, 4.0, 3.3, "warn")
TARGETS = (PYTORCH, ONNX, INT8)


def latency(ms: float, p99: bool = True) -> Latency:
    """Latencies with a tail and 95 % intervals of 2 %."""
    values = {"mean": ms * 1.03, "p50": ms, "p90": ms * 1.08, "p95": ms * 1.12, "p99": ms * 1.25}
    kept = {k: v for k, v in values.items() if p99 or k != "p99"}
    return Latency(
        count=700 if p99 else 64,
        mean=kept["mean"],
        p50=ms,
        p90=kept["p90"],
        p95=kept["p95"],
        p99=kept.get("p99"),
        intervals={k: [v * 0.99, v * 1.01] for k, v in kept.items()},
    )


def finalist(
    of: TrialRecord, targets: tuple[Target, ...] = TARGETS, test: float | None = -0.01, **changes: Any
) -> FinalistRecord:
    """A finalist with every target verified on val and test and measured; `test` is the gap from val to test."""
    source = of.metrics["val/mAP50-95"]
    speed = (of.imgsz / 160) ** 2 * (0.9 if of.model == "v11n" else 1.0)
    artifacts, checks, costs = [], [], []
    for t in targets:
        digest = sha(t.format, t.precision, of.trial)
        artifacts.append(
            Artifact(
                format=t.format,
                precision=t.precision,
                path=f"outputs/sweeps/friday/trials/{of.trial:04d}/artifacts/{t.format}-{t.precision}",
                sha256=digest,
                size_bytes=int(t.size_mb * 1e6),
                input_shape=[1, 3, of.imgsz, of.imgsz],
                export_s=2.5,
                source_sha256=sha("pt", of.trial),
            )
        )
        for split, shift in (("val", 0.0), *((("test", test),) if test is not None else ())):
            reference = source + shift
            checks.append(
                Verification(
                    format=t.format,
                    precision=t.precision,
                    artifact_sha256=digest,
                    runtime=t.runtime,
                    split=split,
                    metrics={"mAP50-95": reference * t.kept, "mAP50": reference * t.kept * 1.4},
                    reference_map=reference,
                    gate=t.gate,
                    detections_file=f"trials/{of.trial:04d}/detections/{split}-{t.runtime}-{t.format}-{t.precision}.npz",
                )
            )
        for batch in t.batches if t.timed else ():
            ms = t.ms * speed * batch**0.9
            costs.append(
                Measurement(
                    format=t.format,
                    precision=t.precision,
                    artifact_sha256=digest,
                    runtime=t.runtime,
                    runtime_version="1.0",
                    device="cpu",
                    scope="model_only",
                    batch=batch,
                    threads=2,
                    imgsz=of.imgsz,
                    latency=latency(ms, t.p99),
                    throughput_ips=1000 * batch / ms,
                    load_ms=40.0,
                    cold_ms=ms * 3,
                    memory_mb=90.0 + t.size_mb,
                    size_bytes=int(t.size_mb * 1e6),
                    samples_file=f"benchmark/{t.runtime}-{t.format}-{t.precision}-{of.trial}.json",
                )
            )
    record = FinalistRecord(
        sweep=of.sweep,
        trial=of.trial,
        config_id=of.config_id,
        run_id=of.run_id,
        artifacts=artifacts,
        verifications=checks,
        measurements=costs,
        test_metrics={} if test is None else {"test/mAP50-95": source + test},
        environment=HOST,
    )
    return replace(record, **changes)


@dataclass(frozen=True)
class There:
    """How a target does on another machine."""

    times: float = 10.0  # the latency of the sweep's machine
    lacks: float = 0.0  # share of its source's mAP50-95
    gate: AccuracyGate | None = "pass"  # None: its accuracy was not checked there
    version: str = "1.0"  # of the runtime


def device(
    name: str,
    finalists: list[FinalistRecord],
    how: dict[str, There] | None = None,
    scatter: float = 0.0,
    rounds: int = 5,
    **changes: Any,
) -> DeviceRecord:
    """A device that measured finalists, in rounds that scatter.

    Args:
        name: of the device.
        finalists: their targets on runtimes.
        how: `format/precision` -> how it does there; what is not named was not measured. None: everything as `There()`.
        scatter: standard deviation of the logarithm of a round.
        rounds: how many.
        changes: other fields of the record.
    """
    noise, costs, checks = random.Random(name), [], []
    for record in finalists:
        val = {(v.artifact_sha256, v.runtime): v for v in record.verifications if v.split == "val"}
        for m in record.measurements:
            there = There() if how is None else how.get(f"{m.format}/{m.precision}")
            if there is None:
                continue
            values = {
                s: [getattr(m.latency, s) * there.times * math.exp(noise.gauss(0, scatter)) for _ in range(rounds)]
                for s in ("mean", "p50", "p90", "p95", "p99")
                if getattr(m.latency, s) is not None
            }
            costs.append(replace(m, **_slower(m, there, values), runtime_version=there.version, device="cpu"))
            v = val[m.artifact_sha256, m.runtime]
            if there.gate is not None:
                metrics = {"mAP50-95": v.reference_map * (1 - there.lacks)}
                checks.append(replace(v, metrics=metrics, gate=there.gate, detections_file=""))
    made = DeviceRecord(
        sweep="friday",
        device=name,
        protocol=1,
        bundle_sha256=sha("bundle"),
        results_sha256=sha("results", name),
        measured_at=WHEN,
        imported_at=WHEN,
        environment=replace(HOST, host=sha("host", name)[:16], cpu=f"{name} processor", platform="Linux aarch64"),
        measurements=costs,
        verifications=checks,
    )
    return replace(made, **changes)


def _slower(m: Measurement, there: There, values: dict[str, list[float]]) -> dict[str, Any]:
    found = {s: estimate(v) for s, v in values.items()}
    kept = {s: e.value for s, e in found.items()}
    return {
        "latency": Latency(
            m.latency.count,
            kept["mean"],
            kept["p50"],
            kept.get("p90"),
            kept.get("p95"),
            kept.get("p99"),
            {s: [e.low, e.high] for s, e in found.items() if math.isfinite(e.high)},
        ),
        "rounds": values,
        "throughput_ips": 1000 * m.batch / kept["p50"],
        "load_ms": m.load_ms * there.times,
        "cold_ms": m.cold_ms * there.times,
        "memory_mb": m.memory_mb * 0.8,
    }


@dataclass
class Sweep:
    """A sweep to be written to disk."""

    trials: list[TrialRecord]
    finalists: list[FinalistRecord] = field(default_factory=list)
    decision: dict[str, Any] = field(
        default_factory=lambda: {"name": "default", "max_export_loss": 0.02, "margin": 0.03}
    )
    changes: dict[str, Any] = field(default_factory=dict)
    evaluations: list[EvaluationRecord] = field(default_factory=list)
    devices: list[DeviceRecord] = field(default_factory=list)

    def write(self, outputs: Path) -> Path:
        """Save every record; returns the sweep's folder."""
        record = SweepRecord(
            sweep="friday",
            kind="study",
            command="python -m src.run -m sweeps=imgsz_lr_seed sweep=friday",
            run_id=sha("parent")[:32],
            identity="0" * 12,
            space={"model": "choice(v8n, v11n)", "imgsz": "choice(160, 320)", "seed": "choice(1, 2, 3)"},
            n_trials=len(self.trials),
            objective="val/mAP50-95",
            decision=self.decision,
            started_at=WHEN,
            finished_at="2026-11-21T09:30:00+00:00",
        )
        record = replace(record, **self.changes)
        folder = outputs / "sweeps" / record.sweep
        save(folder / "sweep.json", record)
        for t in self.trials:
            save(folder / "trials" / f"{t.trial:04d}" / "record.json", replace(t, sweep=record.sweep))
        for f in self.finalists:
            save(folder / "trials" / f"{f.trial:04d}" / "finalist.json", replace(f, sweep=record.sweep))
        for e in self.evaluations:
            name = f"{e.split}-{e.runtime}-{e.format}-{e.precision}.json"
            save(folder / "trials" / f"{e.trial:04d}" / "evaluation" / name, replace(e, sweep=record.sweep))
        for d in self.devices:
            save(folder / "devices" / d.device / "record.json", replace(d, sweep=record.sweep))
        return folder


SCORES = {  # by model and image size: the objective of seeds 1, 2 and 3
    ("v8n", 160): (0.410, 0.402, 0.415),
    ("v11n", 160): (0.405, 0.398, 0.407),
    ("v8n", 320): (0.560, 0.551, 0.566),
    ("v11n", 320): (0.571, 0.549, 0.562),
}


def study(**changes: Any) -> Sweep:
    """Four configurations with three seeds each, the best trials as finalists, one failed trial."""
    trials = [
        trial(3 * i + j, model, imgsz, seed=j + 1, score=score)
        for i, ((model, imgsz), scores) in enumerate(SCORES.items())
        for j, score in enumerate(scores)
    ]
    best = [max(trials[i : i + 3], key=lambda t: t.metrics["val/mAP50-95"]) for i in range(0, 12, 3)]
    missing = Failure("benchmark", "openvino/fp32", "unavailable", "openvino is not installed; pip install openvino")
    finalists = [finalist(t, failures=[missing]) for t in best]
    return Sweep([*trials, failed(12, lr=0.9)], finalists, **changes)


def evaluation(of: TrialRecord, v: Verification, images: int = 120, noise: float = 0.03) -> EvaluationRecord:
    """An evaluation in depth; resamples share the noise of the images and add a little of their own."""
    value = v.metrics["mAP50-95"]
    shared, own = random.Random(v.split), random.Random(v.artifact_sha256)
    drawn = [value + shared.gauss(0, noise) + own.gauss(0, noise / 8) for _ in range(200)]
    resamples = [min(1.0, max(0.0, v)) for v in drawn]
    step = 0.02 if v.precision == "int8" else 0.01
    names = of.dataset.class_names if of.dataset else []
    return EvaluationRecord(
        sweep=of.sweep,
        trial=of.trial,
        run_id=of.run_id,
        format=v.format,
        precision=v.precision,
        artifact_sha256=v.artifact_sha256,
        runtime=v.runtime,
        split=v.split,
        dataset_fingerprint=DATASET.fingerprint,
        n_images=images,
        figures={
            "mAP50-95": value, "mAP50": min(1.0, value * 1.4), "mAP75": value * 0.9,
            "AR@1": 0.3, "AR@10": 0.6, "AR@100": 0.62,
            "AP-small": 0.2, "AP-medium": 0.5, "AP-large": math.nan,
            "threshold": 0.41 if v.precision == "int8" else 0.37,
            "precision": 0.7, "recall": 0.6, "f1": 0.65,
            "threshold@production": 0.25, "precision@production": 0.55, "recall@production": 0.66, "f1@production": 0.6,
            "mean-IoU": 0.83, "detections-per-image": 4.2,
        },
        intervals={"mAP50-95": [max(0.0, value - 2 * noise), min(1.0, value + 2 * noise)]},
        standard_errors={"mAP50-95": noise},
        resamples=resamples,
        resample_seed=1,
        per_class=[
            {"name": n, "truths": 40, "detections": 50, "AP50-95": value - step * i, "AP50": 0.7}
            for i, n in enumerate(names)
        ],
        errors={
            "true_positives": 300, "localisation": 40, "class": 25, "duplicate": 3, "background": 30,
            "both": 6, "missed": 70,
        },
        confusions=[["3", "8", 7], ["1", "7", 5]],
        curve=[[t / 60, 0.5, 0.5, 0.65 * (1 - abs(t / 60 - 0.4))] for t in range(1, 60)],
    )  # fmt: skip


def deep_study(**changes: Any) -> Sweep:
    """`study` with evaluations in depth."""
    sweep = study(**changes)
    trials = {t.trial: t for t in sweep.trials}
    sweep.evaluations = [evaluation(trials[f.trial], v) for f in sweep.finalists for v in f.verifications]
    return sweep
