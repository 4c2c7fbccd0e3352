"""Measurements and verifications as rows: CSV, JSON and a table on the terminal."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from src.common.csv_cells import cell
from src.common.whole_files import write_text
from src.records.schema import SCHEMA_VERSION, Failure, Measurement, Verification

COLUMNS = (
    "file", "runtime", "format", "precision", "batch", "scope", "device", "threads", "imgsz", "mAP50-95", "map_share",
    "gate", "mean_ms", "p50_ms", "p50_low", "p50_high", "p90_ms", "p95_ms", "p99_ms", "samples", "throughput_ips",
    "preprocess_ms", "inference_ms", "postprocess_ms", "load_ms", "cold_ms", "memory_mb", "vram_mb", "size_mb",
    "ratio_to_fp32", "ratio_to_fp32_low", "ratio_to_fp32_high", "slower_than_fp32", "gemm_share", "offline_ips",
    "offline_batch", "energy_image_j", "effective_samples", "foreign_cpu", "contaminated_rounds", "remeasured_blocks",
    "artifact_sha256", "runtime_version", "tile",
)  # fmt: skip


def rows(
    measurements: Sequence[Measurement], verifications: Sequence[Verification], files: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """A row for every artifact, runtime, scope and batch, with the accuracy of that artifact on that runtime.

    Args:
        measurements: what was measured.
        verifications: what the accuracy pass found.
        files: name of the file by its hash.
    """
    accuracy = {(v.artifact_sha256, v.runtime): v for v in verifications}
    table = [_row(m, accuracy.get((m.artifact_sha256, m.runtime))) for m in measurements]
    return [{**row, "file": (files or {}).get(row["artifact_sha256"])} for row in table]


def _row(m: Measurement, v: Verification | None) -> dict[str, Any]:
    low, high = m.latency.intervals.get("p50", [None, None])
    row: dict[str, Any] = {
        **{
            k: getattr(m, k) for k in ("runtime", "format", "precision", "batch", "scope", "device", "threads", "imgsz")
        },
        **{f"{k}_ms": getattr(m.latency, k) for k in ("mean", "p50", "p90", "p95", "p99")},
        **{k: getattr(m, k) for k in ("throughput_ips", "load_ms", "cold_ms", "memory_mb", "runtime_version")},
        "p50_low": low,
        "p50_high": high,
        "samples": m.latency.count,
        "size_mb": m.size_bytes / 1e6,
        "artifact_sha256": m.artifact_sha256,
        **m.extra,
    }
    if v is not None:
        value = v.metrics["mAP50-95"]
        share = value / v.reference_map if v.reference_map > 0 else None
        row |= {"mAP50-95": value, "map_share": share, "gate": v.gate}
    return {column: row.get(column) for column in COLUMNS}


def write_csv(path: Path, table: Sequence[dict[str, Any]]) -> None:
    """Write the rows; empty cells for what was not measured."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: round(v, 6) if isinstance(v, float) else cell(v) for k, v in row.items()} for row in table)
    write_text(path, buffer.getvalue())


def write_json(
    path: Path,
    measurements: Sequence[Measurement],
    verifications: Sequence[Verification],
    failures: Sequence[Failure],
    **about: Any,
) -> None:
    """Write all records; raw samples lie in the files that they name."""
    content = {
        "schema_version": SCHEMA_VERSION,
        **about,
        "measurements": [dataclasses.asdict(m) for m in measurements],
        "verifications": [dataclasses.asdict(v) for v in verifications],
        "skipped": [dataclasses.asdict(f) for f in failures],
    }
    write_text(path, json.dumps(content, indent=1, sort_keys=True) + "\n")


def render(table: Sequence[dict[str, Any]], *, wide: bool = True) -> Table:
    """The rows as a table, fastest first.

    Args:
        table: from `rows`.
        wide: all columns (about 150 characters), or those that fit into 100.
    """
    files = list(dict.fromkeys(row.get("file") or "" for row in table))
    named = "\n".join(f"file {i}: {escape(name)}" for i, name in enumerate(files, 1) if name)
    title = "single stream, ms per call; intervals of the median, 95 %"
    out = Table(title=title, title_justify="left", caption=named or None, caption_justify="left")
    names = [name for name in HEADERS if wide or name not in WIDE_ONLY]
    for name in names:
        out.add_column(name, no_wrap=True, justify="left" if name in ("runtime", "format", "scope") else "right")
    for row in sorted(table, key=lambda r: (r["scope"] != "model_only", r["batch"], r["p50_ms"])):
        cells = _cells(row) | {"file": str(files.index(row["file"]) + 1) if row.get("file") else ""}
        out.add_row(*(cells[name] for name in names))
    return out


HEADERS = (
    "file", "runtime", "format", "scope", "b", "p50", "interval", "p95", "p99", "img/s", "MB peak", "MB file",
    "mAP50-95", "gate", "x fp32", "peak",
)  # fmt: skip
WIDE_ONLY = ("interval", "p99", "MB file", "peak", "b")


def _cells(row: dict[str, Any]) -> dict[str, str]:
    shown = {"fail": "[red]fail[/red]", "warn": "[yellow]warn[/yellow]", "none": "no reference"}
    gate = shown.get(row["gate"] or "", row["gate"] or "")
    ratio = _text(row["ratio_to_fp32"], ".2f")
    return {
        "runtime": row["runtime"],
        "format": f"{row['format']}/{row['precision']}",
        "scope": "model" if row["scope"] == "model_only" else "end to end",
        "b": str(row["batch"]),
        "p50": _text(row["p50_ms"], ".2f"),
        "interval": "" if row["p50_low"] is None else f"{row['p50_low']:.2f}-{row['p50_high']:.2f}",
        "p95": _text(row["p95_ms"], ".2f"),
        "p99": _text(row["p99_ms"], ".2f"),
        "img/s": _text(row["throughput_ips"], ".1f"),
        "MB peak": _text(row["memory_mb"], ".0f"),
        "MB file": _text(row["size_mb"], ".1f"),
        "mAP50-95": _text(row["mAP50-95"], ".4f"),
        "gate": gate,
        "x fp32": f"[red]{ratio}[/red]" if row["slower_than_fp32"] else ratio,
        "peak": _text(row["gemm_share"], ".0%"),
    }


def _text(value: float | None, form: str) -> str:
    return "" if value is None or math.isnan(value) else format(value, form)
