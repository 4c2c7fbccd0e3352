"""Join configurations with what the finalist stage found: one candidate per configuration x artifact x runtime.

Accuracy and cost come from separate passes (a verification and a measurement); a candidate is the pair. Its score is
the configuration's mean objective over seeds, times the share of accuracy that the artifact kept: one lucky seed
can't lift it, and a lossy export lowers it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from src.common.statistics import Spread
from src.config.schema import DecisionConfig
from src.decide.configurations import Configuration
from src.decide.load import Saved
from src.decide.machines import Pair, checks, measurements
from src.decide.uncertainty import Effect, Floats, Model, mean_interval
from src.records.schema import (
    AccuracyGate,
    Artifact,
    EvaluationRecord,
    Failure,
    FinalistRecord,
    Measurement,
    TrialRecord,
    Verification,
)

GATES: tuple[AccuracyGate, ...] = ("reference", "pass", "warn", "fail")  # from the best to the worst
PERCENTILES = ("mean", "p50", "p90", "p95", "p99")
MAP = "mAP50-95"


@dataclass(frozen=True)
class Evidence:
    """What one trial contributes to a candidate."""

    trial: TrialRecord
    artifact: Artifact | None
    val: Verification | None
    test: Verification | None
    measurement: Measurement | None
    val_depth: EvaluationRecord | None  # the evaluation in depth, where there is one
    test_depth: EvaluationRecord | None
    test_map: float  # of this very file on test; NaN when test was not opened for it
    there: Verification | None = None  # on the device that decides, where that is not the sweep's machine


@dataclass(frozen=True)
class Candidate:
    """A configuration as one artifact on one runtime; figures are means over its measured trials."""

    configuration: Configuration
    format: str
    precision: str
    runtime: str
    evidence: tuple[Evidence, ...]  # the replicate that ships first
    score: Spread  # mean objective over seeds x retention
    model: Model  # the score with its uncertainty, as comparisons see it
    interval: tuple[float, float]  # 95 % interval of the score over seeds and images; NaN when not established
    retention: float  # accuracy of the artifact as a share of its source's, on val; NaN when not verified
    val_map: float
    test_map: float
    gate: AccuracyGate | None
    latency: dict[str, float]  # statistic -> ms; only what was measured
    latency_interval: dict[str, tuple[float, float]]  # statistic -> 95 % interval, ms
    throughput_ips: float
    memory_mb: float
    size_mb: float
    device_gate: AccuracyGate | None = None  # of its accuracy on the device that decides, against its source's

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Identity within a report."""
        return (self.configuration.config_id, self.format, self.precision, self.runtime)

    @property
    def label(self) -> str:
        """Short name for tables and figures."""
        return f"{self.configuration.label} · {self.format}/{self.precision} · {self.runtime}"

    @property
    def best(self) -> Evidence:
        """The evidence of the trial that would be shipped."""
        return self.evidence[0]

    @property
    def floor(self) -> float:
        """What the file that ships reaches on val at least: the low end of its 95 % interval, where there is one."""
        depth = self.best.val_depth
        low = depth.intervals.get(MAP, [math.nan])[0] if depth else math.nan
        found = (v for v in (low, self.interval[0], self.val_map) if v is not None and math.isfinite(v))
        return next(found, math.nan)

    @property
    def loss(self) -> float:
        """Share of mAP50-95 that export cost; below 0 when the artifact scores higher."""
        return 1 - self.retention

    def capacity(self, promise_ms: float) -> float:
        """Requests a second that a service of it surely answers within a promise of p99; NaN when not measured."""
        extras = [e.measurement.extra for e in self.evidence if e.measurement]
        own = [x["capacity_low_rps"] for x in extras if x.get("capacity_p99_ms") == promise_ms]
        return min(own, default=math.nan)

    @property
    def measured(self) -> bool:
        """Whether the benchmark covered it."""
        return bool(self.latency)

    @property
    def verified(self) -> bool:
        """Whether its accuracy was measured."""
        return math.isfinite(self.retention)

    @property
    def loss_there(self) -> float:
        """Share of its source's mAP50-95 that it lacks on the device that decides; NaN where that is not known."""
        return 1 - mean([_retention(e.there) for e in self.evidence if e.there])


def cost_statistic(decision: DecisionConfig, found: list[Candidate]) -> str:
    """The latency statistic that candidates are ranked by: the decision's, or the next lower one that all have."""
    measured = [c for c in found if c.measured]
    wanted = PERCENTILES.index(decision.latency)
    for name in (decision.latency, *reversed(PERCENTILES[:wanted])):
        if all(name in c.latency for c in measured):
            return name
    return "mean"


def candidates(
    found: list[Configuration], saved: Saved, decision: DecisionConfig, models: Mapping[str, Model]
) -> list[Candidate]:
    """All candidates, in the order of their configurations, then format, precision and runtime.

    Args:
        found: configurations.
        saved: the records.
        decision: what is compared: scope, batch, device.
        models: every finished configuration's score with its uncertainty, by `config_id`.
    """
    finalists = saved.finalists
    # Trainings of equal weights export to equal files, which are timed once for all of them.
    timed, there = measurements(saved, decision), checks(saved, decision)
    result = []
    for configuration in found:
        taken = [(t, finalists[t.trial]) for t in _shipped_first(configuration, finalists) if t.trial in finalists]
        for key in sorted({k for _, record in taken for k in _keys(record)}):
            evidence = tuple(_evidence(trial, record, key, timed, there, saved) for trial, record in taken)
            present = tuple(e for e in evidence if e.val or e.measurement)
            if present:
                result.append(_candidate(configuration, key, present, models[configuration.config_id], saved))
    return result


def _shipped_first(configuration: Configuration, finalists: Mapping[int, FinalistRecord]) -> list[TrialRecord]:
    """What was exported comes first, and of several the one nearest the mean: nobody ships the luckiest."""
    middle = configuration.spread.mean
    pairs = zip(configuration.scores, configuration.trials, strict=True)

    def order(pair: tuple[float, TrialRecord]) -> tuple[bool, float, float, int]:
        record = finalists.get(pair[1].trial)
        exported = record is not None and any(a.format != "pytorch" for a in record.artifacts)
        return (not exported, round(abs(pair[0] - middle), 9), pair[0], pair[1].trial)

    return [trial for _, trial in sorted(pairs, key=order)]


def _keys(record: FinalistRecord) -> set[tuple[str, str, str]]:
    verified = {(v.format, v.precision, v.runtime) for v in record.verifications}
    return verified | {(m.format, m.precision, m.runtime) for m in record.measurements}


def _evidence(
    trial: TrialRecord,
    record: FinalistRecord,
    key: tuple[str, str, str],
    timed: dict[Pair, Measurement],
    there: dict[Pair, Verification],
    saved: Saved,
) -> Evidence:
    found = {v.split: v for v in record.verifications if (v.format, v.precision, v.runtime) == key}
    test = found.get("test")
    artifact = next((a for a in record.artifacts if (a.format, a.precision) == key[:2]), None)
    return Evidence(
        trial=trial,
        artifact=artifact,
        val=found.get("val"),
        test=test,
        measurement=timed.get((artifact.sha256, key[2])) if artifact else None,
        val_depth=saved.evaluations.get((artifact.sha256, key[2], "val")) if artifact else None,
        test_depth=saved.evaluations.get((artifact.sha256, key[2], "test")) if artifact else None,
        test_map=_on_test(record, key, test),
        there=there.get((artifact.sha256, key[2])) if artifact else None,
    )


def _on_test(record: FinalistRecord, key: tuple[str, str, str], test: Verification | None) -> float:
    """The mAP50-95 of a file on test; what its checkpoint reached there is no figure of an export.

    An export that was made again after test was opened has none, though its checkpoint has one.
    """
    if test is not None:
        return test.metrics.get(MAP, math.nan)
    own = key[0] == "pytorch"
    return record.test_metrics.get(f"test/{MAP}", math.nan) if own else math.nan


def _candidate(
    configuration: Configuration,
    key: tuple[str, str, str],
    evidence: tuple[Evidence, ...],
    source: Model,
    saved: Saved,
) -> Candidate:
    checked = [e.val for e in evidence if e.val]
    costs = [e.measurement for e in evidence if e.measurement]
    retention = mean([_retention(v) for v in checked])
    gates = [v.gate for v in checked]
    sizes = [m.size_bytes for m in costs] or [e.artifact.size_bytes for e in evidence if e.artifact]
    score = configuration.spread.scaled(retention)
    effect = Effect(score.mean - configuration.spread.mean, _effect_resamples(evidence[0], key, saved))
    model = replace(source, score=score.mean, effect=effect)
    return Candidate(
        configuration=configuration,
        format=key[0],
        precision=key[1],
        runtime=key[2],
        evidence=evidence,
        score=score,
        model=model,
        interval=mean_interval(model),
        retention=retention,
        val_map=mean([v.metrics.get(MAP, math.nan) for v in checked]),
        test_map=mean([e.test_map for e in evidence if math.isfinite(e.test_map)]),  # opened for what may ship alone
        gate=_worst(gates),
        latency={name: value for name in PERCENTILES if (value := _latency(costs, name)) is not None},
        latency_interval=_intervals(costs),
        throughput_ips=mean([m.throughput_ips for m in costs]),
        memory_mb=mean([m.memory_mb for m in costs]),
        size_mb=mean([size / 1e6 for size in sizes]),
        device_gate=_worst([e.there.gate for e in evidence if e.there and e.there.gate != "none"]),
    )


def _worst(gates: list[AccuracyGate]) -> AccuracyGate | None:
    return max(gates, key=GATES.index) if gates else None


def _effect_resamples(own: Evidence, key: tuple[str, str, str], saved: Saved) -> Floats | None:
    """What the artifact changes against its checkpoint under resampled images; None where that isn't known."""
    if own.val_depth is None or key[0] == "pytorch":
        return None
    source = next((a for a in saved.finalists[own.trial.trial].artifacts if a.format == "pytorch"), None)
    before = saved.evaluations.get((source.sha256, "pytorch", "val")) if source else None
    if before is None or pairing_of(before) != pairing_of(own.val_depth):
        return None
    return np.subtract(own.val_depth.resamples, before.resamples)


def pairing_of(record: EvaluationRecord) -> tuple[object, ...]:
    """What two evaluations must have in common for their resamples to be paired."""
    return (record.dataset_fingerprint, record.split, record.resample_seed, len(record.resamples))


def _retention(check: Verification) -> float:
    """Share of the source's mAP that the artifact keeps. A source that scores nothing has nothing to lose."""
    got = check.metrics.get(MAP, math.nan)
    if check.reference_map > 0:
        return got / check.reference_map
    return 1.0 if math.isfinite(got) else math.nan


def _latency(costs: list[Measurement], name: str) -> float | None:
    values = [getattr(m.latency, name) for m in costs]
    return mean(values) if values and None not in values else None


def _intervals(costs: list[Measurement]) -> dict[str, tuple[float, float]]:
    """The widest interval over the measured trials."""
    found = {}
    for name in PERCENTILES:
        pairs = [m.latency.intervals[name] for m in costs if len(m.latency.intervals.get(name, [])) == 2]
        if pairs and len(pairs) == len(costs):
            found[name] = (min(p[0] for p in pairs), max(p[1] for p in pairs))
    return found


def mean(values: list[float]) -> float:
    """Mean, NaN of nothing."""
    return math.fsum(values) / len(values) if values else math.nan


def failures_of(trials: list[TrialRecord], finalists: dict[int, FinalistRecord]) -> list[tuple[str, Failure]]:
    """Every recorded failure with the trial it belongs to."""
    own = [(f"trial {t.trial}", f) for t in trials for f in t.failures]
    return own + [(f"trial {n}", f) for n, record in sorted(finalists.items()) for f in record.failures]
