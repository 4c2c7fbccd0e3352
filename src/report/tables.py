"""The tables that other programs read: `trials.csv`, `benchmark.csv` and `benchmark.json`.

A cell that a spreadsheet would run as a formula is quoted, since names and error messages come from outside.
"""

from __future__ import annotations

import csv
import io
import math
from typing import Any

from src.common.csv_cells import cell
from src.config.devices import OWN
from src.config.schema import DecisionConfig
from src.decide.configurations import HEADLINE, swept_values
from src.decide.licence import licence_of_trial
from src.decide.load import Saved
from src.records.schema import Artifact, FinalistRecord, Measurement, TrialRecord, Verification
from src.report.names import fitted
from src.report.running_costs import cost_columns

Row = dict[str, Any]


def trial_rows(saved: Saved) -> list[Row]:
    """A row per trial."""
    metrics = sorted({name for t in saved.trials for name in t.metrics})
    swept = sorted({key for t in saved.trials for key in swept_values(t) if key not in HEADLINE})
    return [_trial_row(t, saved.finalists.get(t.trial), metrics, swept) for t in saved.trials]


def _trial_row(t: TrialRecord, finalist: FinalistRecord | None, metrics: list[str], swept: list[str]) -> Row:
    checkpoint, values = t.checkpoint, swept_values(t)
    test = finalist.test_metrics if finalist else {}
    return {
        "trial": t.trial,
        "state": t.state,
        "model": t.model,
        "imgsz": t.imgsz,
        "lr": t.lr,
        "seed": t.seed,
        "run_id": t.run_id,
        "config_id": t.config_id,
        **{key: values.get(key, "") for key in swept},
        **{name: t.metrics.get(name) for name in metrics},
        "test/mAP50-95": test.get("test/mAP50-95"),
        "epochs": checkpoint.epochs if checkpoint else None,
        "used_minutes": t.history[-1].get("used_minutes") if t.history else None,
        "best_epoch": checkpoint.best_epoch if checkpoint else None,
        "start": checkpoint.start if checkpoint else None,
        "licence": licence_of_trial(t),
        "parameters": checkpoint.parameters if checkpoint else None,
        "gflops": checkpoint.gflops if checkpoint else None,
        "seconds": round(sum(t.timings_s.values()), 3),
        "energy_j": round(sum(t.energy_j.values()), 3) if t.energy_j else None,
        "started_at": t.started_at,
        "finished_at": t.finished_at,
        "host": t.environment.host,
        "failure": "; ".join(f"{f.stage}: {f.message}" for f in t.failures),
    }


def benchmark_rows(saved: Saved, settings: DecisionConfig) -> list[Row]:
    """A row per artifact x runtime x batch x scope; with what 1,000 images cost where a rate is stated."""
    rows = []
    trials = {t.trial: t for t in saved.trials}
    for number, record in sorted(saved.finalists.items()):
        artifacts = {a.sha256: a for a in record.artifacts}
        checks = {(v.artifact_sha256, v.runtime, v.split): v for v in record.verifications}
        for m in record.measurements:
            val, test = (checks.get((m.artifact_sha256, m.runtime, split)) for split in ("val", "test"))
            row = _benchmark_row(trials[number], m, artifacts.get(m.artifact_sha256), val, test, record)
            rows.append(row | cost_columns(m, settings, OWN))
    return rows


def _benchmark_row(
    t: TrialRecord,
    m: Measurement,
    artifact: Artifact | None,
    val: Verification | None,
    test: Verification | None,
    record: FinalistRecord,
) -> Row:
    latency = m.latency
    intervals = {
        f"latency_{name}_{side}_{latency.unit}": pair[i]
        for name in ("mean", "p50", "p90", "p95", "p99")
        if len(pair := latency.intervals.get(name, [math.nan, math.nan])) == 2
        for i, side in enumerate(("low", "high"))
    }
    return {
        "trial": t.trial,
        "run_id": t.run_id,
        "config_id": t.config_id,
        "model": t.model,
        "licence": licence_of_trial(t),
        "imgsz": t.imgsz,
        "lr": t.lr,
        "seed": t.seed,
        "format": m.format,
        "precision": m.precision,
        "runtime": m.runtime,
        "runtime_version": m.runtime_version,
        "device": m.device,
        "scope": m.scope,
        "input": fitted(t, artifact),
        "batch": m.batch,
        "threads": m.threads,
        "samples": latency.count,
        **{f"latency_{n}_{latency.unit}": getattr(latency, n) for n in ("mean", "p50", "p90", "p95", "p99")},
        **intervals,
        "throughput_ips": m.throughput_ips,
        "load_ms": m.load_ms,
        "cold_ms": m.cold_ms,
        "memory_mb": m.memory_mb,
        "size_mb": m.size_bytes / 1e6,
        "val/mAP50-95": val.metrics.get("mAP50-95") if val else None,
        "test/mAP50-95": test.metrics.get("mAP50-95") if test else None,
        "reference/mAP50-95": val.reference_map if val else None,
        "gate": val.gate if val else None,
        "export_s": artifact.export_s if artifact else None,
        "artifact_sha256": m.artifact_sha256,
        "artifact": artifact.path if artifact else None,
        "samples_file": m.samples_file,
        "host": record.environment.host if record.environment else None,
    }


TRIAL_COLUMNS = ["trial", "state", "model", "imgsz", "lr", "seed", "run_id"]
BENCHMARK_COLUMNS = ["trial", "run_id", "model", "imgsz", "format", "precision", "runtime", "batch"]


def to_csv(rows: list[Row], columns: list[str]) -> str:
    """Rows as CSV; `columns` is the header where there are no rows."""
    names = list(dict.fromkeys(key for row in rows for key in row)) or columns
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([cell(name) for name in names])
    writer.writerows([[cell(row.get(name)) for name in names] for row in rows])
    return stream.getvalue()
