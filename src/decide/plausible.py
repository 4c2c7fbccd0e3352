"""Records that can't be true are refused, each with its file and field: a decision must not rest on them.

What was measured is above 0, what is an mAP lies in 0..1, and figures of one thing agree in order and number. A record
that was altered within these bounds can't be told from a true one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from src.common.errors import UserError
from src.common.speed import estimate
from src.records.schema import (
    DeviceRecord,
    EvaluationRecord,
    FinalistRecord,
    ImageResamples,
    Measurement,
    SweepRecord,
    TrialRecord,
)

REMEDY = "restore the file, or remove it and run the sweep's command again"
PERCENTILES = ("mean", "p50", "p90", "p95", "p99")
MAP = "mAP50-95"
AGREE = 1e-3  # a percentile is the geometric mean of its rounds; those that decide must be those that are printed
COUNTED = ("detections-per-image",)  # of the figures of an evaluation; the others are shares
ROUNDING = 1e-9  # a mean of ones may exceed one
CURVE = 4  # threshold, precision, recall, F1


def refuse(file: Path, field: str, why: str, value: object) -> None:
    """Refuse a record for one of its fields.

    Raises:
        UserError: always.
    """
    raise UserError(f"{file}: {field} {why}", value=value, remedy=REMEDY)


def check_sweep(record: SweepRecord, file: Path) -> None:
    """Numbers of trainings, the margin and the confidence; looks decide how much confidence is left."""
    if record.n_trials < 0:
        refuse(file, "n_trials", "must be at least 0", record.n_trials)
    for name, low, high in (("margin", 0.0, 1.0), ("confidence", 0.5, 1.0)):
        value = record.decision.get(name)
        if isinstance(value, (int, float)) and not low <= value <= high:
            refuse(file, f"decision.{name}", f"must lie in {low:g}..{high:g}", value)
    if record.halving and not _is_halving(record.halving):
        refuse(file, "halving", "must hold epochs, and lists of rungs and brackets", record.halving)
    for i, look in enumerate(record.looks):
        trainings, share = look.get("trainings"), look.get("share")
        if not isinstance(trainings, int) or isinstance(trainings, bool) or trainings < 0:
            refuse(file, f"looks[{i}].trainings", "must be a number of trainings", trainings)
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
            refuse(file, f"looks[{i}].share", "must be a share of the bound in 0..1", share)
        questions, speed = look.get("questions", []), look.get("speed", [])
        if not isinstance(questions, list):
            refuse(file, f"looks[{i}].questions", "must be a list", questions)
        if not isinstance(speed, list) or not all(isinstance(label, str) for label in speed):
            refuse(file, f"looks[{i}].speed", "must be a list of labels", speed)


def _is_halving(found: Mapping[str, Any]) -> bool:
    rungs, brackets = found.get("rungs"), found.get("brackets")
    if not isinstance(rungs, list) or not isinstance(brackets, list) or not all(isinstance(r, list) for r in rungs):
        return False
    return all(isinstance(n, int) and n > 0 for n in (found.get("epochs"), *(n for r in rungs for n in r)))


def check_trial(record: TrialRecord, file: Path) -> None:
    """Scores are mAPs."""
    for name, value in record.metrics.items():
        if name.endswith((MAP, "/mAP50")) and math.isfinite(value) and not 0 <= value <= 1:
            refuse(file, f"metrics.{name}", "must lie in 0..1", value)


def check_finalist(record: FinalistRecord | DeviceRecord, file: Path) -> None:
    """Accuracy lies in 0..1, and what was measured is above 0."""
    before = record.post_training if isinstance(record, FinalistRecord) else []
    for where, found in (("verifications", record.verifications), ("post_training", before)):
        for i, v in enumerate(found):
            if MAP not in v.metrics:
                refuse(
                    file,
                    f"{where}[{i}].metrics.{MAP}",
                    "is missing",
                    ", ".join(sorted(v.metrics)) or "no figure at all",
                )
            for name, value in ((f"metrics.{MAP}", v.metrics[MAP]), ("reference_map", v.reference_map)):
                if not _is_share(value):
                    refuse(file, f"{where}[{i}].{name}", "must lie in 0..1", value)
    for name, value in (record.test_metrics if isinstance(record, FinalistRecord) else {}).items():
        if not _is_share(value):
            refuse(file, f"test_metrics.{name}", "must lie in 0..1", value)
    for i, m in enumerate(record.measurements):
        _check_measurement(m, file, f"measurements[{i}]")


def _check_measurement(m: Measurement, file: Path, at: str) -> None:
    if m.batch < 1:
        refuse(file, f"{at}.batch", "must be at least 1", m.batch)
    for name in PERCENTILES:
        value = getattr(m.latency, name)
        if value is not None and not 0 < value < math.inf:
            refuse(file, f"{at}.latency.{name}", "must be a duration above 0", value)
        bounds = m.latency.intervals.get(name)
        if bounds is not None and not (len(bounds) == 2 and 0 <= bounds[0] <= bounds[1]):
            refuse(file, f"{at}.latency.intervals.{name}", "must be a lower and an upper bound, at least 0", bounds)
    for name, values in m.rounds.items():
        if not values or not all(0 < v < math.inf for v in values):
            refuse(file, f"{at}.rounds.{name}", "must be durations above 0", values)
        typical = getattr(m.latency, name, None) if name != "mean" else None
        if typical is not None and abs(math.log(typical / estimate(values).value)) > AGREE:
            refuse(file, f"{at}.latency.{name}", "is not what its rounds say", f"{typical:g} ms, rounds {values}")
    for name, value in (("memory_mb", m.memory_mb), ("throughput_ips", m.throughput_ips), ("size_bytes", m.size_bytes)):
        unknown = name == "memory_mb" and math.isnan(value)  # some systems don't tell the peak of a process
        if not 0 <= value < math.inf and not unknown:
            refuse(file, f"{at}.{name}", "must be at least 0", value)


def check_evaluation(record: EvaluationRecord, file: Path) -> None:
    """An evaluation in depth, whose figure on test is the one that page one promises: shares, counts and bounds."""
    if record.split not in ("val", "test"):
        refuse(file, "split", "must be val or test", record.split)
    if record.n_images < 0:
        refuse(file, "n_images", "must be at least 0", record.n_images)
    if MAP not in record.figures:
        refuse(file, f"figures.{MAP}", "is missing", ", ".join(sorted(record.figures)) or "no figure at all")
    for name, value in record.figures.items():
        if not name.startswith(COUNTED) and not _is_share(value):
            refuse(file, f"figures.{name}", "must lie in 0..1", value)
    for name, bounds in record.intervals.items():
        low, high = bounds if len(bounds) == 2 else (1.0, 0.0)
        if not (math.isnan(low) and math.isnan(high)) and not 0 <= low <= high <= 1 + ROUNDING:
            refuse(file, f"intervals.{name}", "must be a lower and an upper bound in 0..1", bounds)
    amounts: tuple[tuple[str, Mapping[str, float], str], ...] = (
        ("standard_errors", record.standard_errors, "must be at least 0"),
        ("errors", record.errors, "must be a number of boxes"),
    )
    for where, found, why in amounts:
        for name, value in found.items():
            if not (math.isnan(value) or 0 <= value < math.inf):
                refuse(file, f"{where}.{name}", why, value)
    if not all(map(_is_share, record.resamples)):
        refuse(file, "resamples", "must lie in 0..1", len(record.resamples))
    if not all(len(row) == CURVE for row in record.curve):
        refuse(file, "curve", "must hold rows of threshold, precision, recall and F1", len(record.curve))


def _is_share(value: float) -> bool:
    """Whether a figure is not established, or lies in 0..1."""
    return math.isnan(value) or 0 <= value <= 1 + ROUNDING


def check_images(record: ImageResamples, file: Path) -> None:
    """Resamples are mAPs on val with some freedom behind them."""
    if record.split != "val":
        refuse(file, "split", "must be val, which selects", record.split)
    if not record.freedom > 0:
        refuse(file, "freedom", "must be above 0", record.freedom)
    if math.isfinite(record.value) and not 0 <= record.value <= 1:
        refuse(file, "value", "must lie in 0..1", record.value)
    if any(math.isfinite(v) and not 0 <= v <= 1 for v in record.resamples):
        refuse(file, "resamples", "must lie in 0..1", len(record.resamples))
