"""The finalists: which trained models go on to export, verification and measurement, and what that finds.

Selection looks at `val` alone. The best configuration of every architecture at every image size goes on, because
speed depends on just these two, and so does the overall top. One replicate of each is exported and timed; all of
its replicates are evaluated on `test`, so that the spread over seeds is known there too.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from src.benchmark import measure
from src.benchmark.verify import agreement, timed_outputs_match
from src.config import AppConfig
from src.data import load_split
from src.environment import environment
from src.errors import StageError, Unavailable, UserError, stop_if_full
from src.export import export
from src.pipeline.accuracy import device_of, evaluate_artifact, evaluate_checkpoint, gate
from src.pipeline.context import Context, Inputs
from src.pipeline.post_training import judge_start
from src.pipeline.request import OBJECTIVE
from src.pipeline.runs import closing
from src.pipeline.spent import Spent
from src.records import (
    Artifact,
    DatasetRef,
    Failure,
    FinalistRecord,
    Measurement,
    TrialRecord,
    Verification,
    load,
    save,
)
from src.runtime import supports
from src.sweeper.goals import Goals, best_first
from src.track import RunLog

log = logging.getLogger(__name__)

Say = Callable[[str], None]
PLAIN = Goals()


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
    spent: Spent = field(default_factory=Spent)

    def fail(self, stage: str, target: str, error: Exception) -> None:
        """Record what did not happen.

        Raises:
            DiskFullError: for want of room: the stage stops, and is done again when there is some.
        """
        stop_if_full(self.folder, error)
        kind = "unavailable" if isinstance(error, Unavailable) else "error"
        message = error.message if isinstance(error, StageError) else str(error)
        self.failures.append(Failure(stage, target, kind, message[:500]))  # type: ignore[arg-type]


def choose(records: Sequence[TrialRecord], top: int, goals: Goals = PLAIN) -> list[TrialRecord]:
    """Finalists by `val` alone: the best replicate of each chosen configuration, best configuration first.

    Args:
        records: all trials of the sweep; those that confirm take no part in the choice.
        top: configurations to take beside the best one of every model and image size.
        goals: of the study; configurations that break a constraint are left out, unless all do.
    """
    by_config: dict[str, list[TrialRecord]] = defaultdict(list)
    for record in records:
        if record.role == "search" and record.state == "complete" and OBJECTIVE in record.metrics:
            by_config[record.config_id].append(record)
    known = [(rs, values) for rs in by_config.values() if (values := goals.values([r.metrics for r in rs]))]
    kept = [row for row in known if all(x <= 0 for x in goals.excesses([r.metrics for r in row[0]]).values())] or known
    order = best_first([values for _, values in kept], goals.objectives)
    chosen, architectures = [], set()
    for rank, replicates in enumerate(kept[i][0] for i in order):
        architecture = (replicates[0].model, replicates[0].imgsz)
        if rank < top or architecture not in architectures:
            chosen.append(max(replicates, key=lambda r: r.metrics[OBJECTIVE]))
        architectures.add(architecture)
    return chosen


def run_finalists(
    finalists: Sequence[tuple[TrialRecord, AppConfig]], context: Context, inputs: Inputs, say: Say, *, test: bool = True
) -> list[FinalistRecord]:
    """Export, verify and measure the finalists; save a record for each and return them.

    Args:
        finalists: chosen trials with their configurations.
        context: of the sweep.
        inputs: datasets.
        say: prints a line of progress.
        test: open the test split.
    """
    found = [Findings(record, cfg, context.trial_folder(record.trial)) for record, cfg in finalists]
    for one in found:
        say(f"finalist {one.record.trial}: export and verify")
        one.spent.gpu = one.cfg.device != "cpu"
        with one.spent.of("export"):
            _export(one, inputs)
        with one.spent.of("verify"):
            _verify(one, context, inputs, "val")
            if not test:
                _keep_test(one)
            elif has_test(inputs.dataset(one.cfg)):
                _verify(one, context, inputs, "test")
    _measure(found, context, inputs, say)
    return [_save(one, context) for one in found]


def _export(one: Findings, inputs: Inputs) -> None:
    checkpoint = one.record.checkpoint
    assert checkpoint is not None
    images = [s.image for s in load_split(inputs.dataset(one.cfg), "calibration")]
    for target in ["pytorch/fp32", *one.cfg.export.targets]:
        try:
            artifact = export(
                checkpoint,
                target,
                one.folder / "artifacts",
                one.cfg.export,
                calibration=images,
                trust=one.cfg.model.trust,
            )
            one.artifacts.append(artifact)
        except (StageError, Unavailable, UserError) as error:
            one.fail("export", target, error)


def _keep_test(one: Findings) -> None:
    """Keep what an earlier opening of the test split found about artifacts that are still the same."""
    path = one.folder / "finalist.json"
    if path.is_file():
        earlier = load(FinalistRecord, path)
        one.test = earlier.test_metrics
        same = {a.sha256 for a in one.artifacts}
        one.verifications += [v for v in earlier.verifications if v.split == "test" and v.artifact_sha256 in same]
        one.post_training += [v for v in earlier.post_training if v.split == "test"]


def has_test(dataset: DatasetRef) -> bool:
    """Whether there is a test split: a user's dataset may have none, which the report then says."""
    return dataset.split_sizes.get("test", 0) > 0


def pairs(one: Findings) -> list[tuple[Artifact, str]]:
    """Every artifact with every configured runtime that can run it."""
    engines = one.cfg.runtime.engines
    return [(a, e) for a in one.artifacts for e in engines if supports(e, a.format, a.precision)]


def _verify(one: Findings, context: Context, inputs: Inputs, split: str) -> None:
    """Accuracy of every artifact on every runtime; the PyTorch checkpoint is the reference."""
    dataset, checkpoint = inputs.dataset(one.cfg), one.record.checkpoint
    assert checkpoint is not None
    reference, reference_file = evaluate_checkpoint(checkpoint, dataset, split, one.cfg, context, one.folder)
    if split == "test":
        one.test = {f"test/{name}": value for name, value in reference.items()}
    for artifact, engine in pairs(one):
        metrics, saved = reference, reference_file
        try:
            if (artifact.format, engine) != ("pytorch", "pytorch"):  # that is the reference itself
                found, saved = evaluate_artifact(artifact, engine, dataset, split, one.cfg, context, one.folder)
                metrics = found.as_dict()
        except (StageError, Unavailable, UserError) as error:
            one.fail("verify", f"{engine} {artifact.label}", error)
            continue
        one.verifications.append(
            Verification(
                format=artifact.format,
                precision=artifact.precision,
                artifact_sha256=artifact.sha256,
                runtime=engine,
                split=split,
                metrics=metrics,
                reference_map=reference["mAP50-95"],
                gate=gate(artifact, metrics["mAP50-95"], reference["mAP50-95"], one.cfg),
                detections_file=str(saved.relative_to(context.folder)),
                extra=agreement(reference_file, saved),
            )
        )
    one.post_training += judge_start(checkpoint, one.cfg, context, inputs, one.folder / "start", split, one.fail)


def _measure(found: Sequence[Findings], context: Context, inputs: Inputs, say: Say) -> None:
    """Time all artifacts of all finalists together, interleaved, so that drift of the machine hits all alike."""
    owners = {(a.sha256, engine): one for one in found for a, engine in pairs(one) if _passed(one, a, engine)}
    jobs = [(a, engine) for one in found for a, engine in pairs(one) if owners.get((a.sha256, engine)) is one]
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
        out_dir=context.folder / "benchmark",
        base=context.folder,
        seed=cfg.seed,
        trust=cfg.model.trust,
        gflops={r.checkpoint.sha256: r.checkpoint.gflops for r in (one.record for one in found) if r.checkpoint},
        progress=say,
    )
    keep_measurements(measurements, owners, context.folder)
    for failure in failures:
        found[0].failures.append(failure)


def keep_measurements(
    measurements: Sequence[Measurement], owners: Mapping[tuple[str, str], Findings], folder: Path
) -> None:
    """Give each measurement to its finalist, unless what was timed is not what was judged."""
    strangers: set[tuple[str, str]] = set()
    for m in measurements:
        key = (m.artifact_sha256, m.runtime)
        if key not in strangers and not is_same_model(m, owners[key], folder):
            strangers.add(key)
            message = "outputs of timed runs differ from those of the accuracy pass"
            owners[key].failures.append(Failure("benchmark", f"{m.runtime}/{m.format}/{m.precision}", "error", message))
    for m in measurements:
        if (key := (m.artifact_sha256, m.runtime)) not in strangers:
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


def _save(one: Findings, context: Context) -> FinalistRecord:
    record = FinalistRecord(
        sweep=context.name,
        trial=one.record.trial,
        config_id=one.record.config_id,
        run_id=one.record.run_id,
        artifacts=one.artifacts,
        verifications=one.verifications,
        measurements=one.measurements,
        test_metrics=one.test,
        post_training=one.post_training,
        timings_s=one.spent.seconds,
        energy_j=one.spent.joules,
        failures=one.failures,
        environment=environment(),
    )
    save(one.folder / "finalist.json", record)
    log_finalist(record, one, context)
    return record


def log_finalist(record: FinalistRecord, one: Findings, context: Context) -> None:
    """Add the finalist's metrics and files to its trial's run."""
    with closing(
        context, record.run_id, interrupted="FINISHED"
    ) as run:  # its training is finished, whatever happens here
        _log_to(run, record, one)


def _log_to(run: RunLog, record: FinalistRecord, one: Findings) -> None:
    run.metrics({**record.test_metrics, **bench_metrics(record)})
    run.files([Path(a.path) for a in record.artifacts if a.format != "pytorch" and Path(a.path).is_file()], "artifacts")
    run.files([one.folder / "finalist.json"], "record")


def bench_metrics(record: FinalistRecord) -> dict[str, float]:
    """Measurements under the contract's names: bench/<runtime>/<format>/<precision>/b<batch>/<name>."""
    out: dict[str, float] = {}
    for m in record.measurements:
        if m.scope != "model_only":
            continue
        stem = f"bench/{m.runtime}/{m.format}/{m.precision}/b{m.batch}"
        latency = {f"latency_{n}_ms": getattr(m.latency, n) for n in ("mean", "p50", "p90", "p95", "p99")}
        figures = {
            **latency,
            "throughput_ips": m.throughput_ips,
            "memory_mb": m.memory_mb,
            "size_mb": m.size_bytes / 1e6,
            "load_ms": m.load_ms,
            "cold_ms": m.cold_ms,
        }
        out.update({f"{stem}/{name}": value for name, value in figures.items() if value is not None})
    for v in record.verifications:
        if v.split == "val":
            out[f"bench/{v.runtime}/{v.format}/{v.precision}/b1/mAP50-95"] = v.metrics["mAP50-95"]
    return out


def test_replicates(
    finalists: Sequence[TrialRecord],
    records: Sequence[TrialRecord],
    config_of: Callable[[TrialRecord], AppConfig],
    context: Context,
    inputs: Inputs,
) -> list[FinalistRecord]:
    """Evaluate the other seeds of the finalists' configurations on `test`: no export, no timing."""
    out = []
    chosen = {r.trial for r in finalists}
    configs = {r.config_id for r in finalists}
    for record in records:
        if record.trial in chosen or record.config_id not in configs or record.checkpoint is None:
            continue
        cfg = config_of(record)
        if not has_test(inputs.dataset(cfg)):
            continue
        one = Findings(record, cfg, context.trial_folder(record.trial))
        metrics, _ = evaluate_checkpoint(record.checkpoint, inputs.dataset(cfg), "test", cfg, context, one.folder)
        out.append(_save(replace(one, test={f"test/{k}": v for k, v in metrics.items()}), context))
    return out
