"""Figures from rows: latency, accuracy against latency, throughput by batch, memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Rows = Sequence[dict[str, Any]]
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442", "#000000")  # Okabe and Ito


def draw(rows: Rows, folder: Path) -> list[Path]:
    """Draw every figure that the rows have data for, as PNG files in `folder`; returns their paths."""
    import matplotlib as mpl

    mpl.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    single = [r for r in rows if r["scope"] == "model_only" and r["batch"] == 1]
    figures: dict[str, tuple[Callable[[Any, Rows], None], Rows]] = {
        "latency": (_latency, single),
        "accuracy_latency": (_accuracy, [r for r in single if r["mAP50-95"] is not None]),
        "throughput_batch": (_throughput, [r for r in rows if r["scope"] == "model_only"]),
        "memory": (_memory, single),
    }
    return [_save(paint, data, folder / f"{name}.png") for name, (paint, data) in figures.items() if data]


def _save(paint: Callable[[Any, Rows], None], rows: Rows, path: Path) -> Path:
    import matplotlib.pyplot as plt

    plt.rcParams["text.parse_math"] = False  # a file name with a dollar sign is no formula
    figure, axes = plt.subplots(figsize=(8, max(3.0, 0.4 * len(rows) + 1.5)), constrained_layout=True)
    paint(axes, rows)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path


def label(row: dict[str, Any]) -> str:
    """Name of an artifact on a runtime."""
    return f"{row['runtime']} · {row['format']}/{row['precision']}"


def _latency(axes: Any, rows: Rows) -> None:
    ordered = sorted(rows, key=lambda r: -float(r["p50_ms"]))
    for y, row in enumerate(ordered):
        p50 = float(row["p50_ms"])
        low, high = (float(row[k] if row[k] is not None else p50) for k in ("p50_low", "p50_high"))
        errors = [[max(p50 - low, 0)], [max(high - p50, 0)]]
        axes.errorbar(p50, y, xerr=errors, fmt="o", color=COLOURS[0], capsize=3)
        if row["p99_ms"] is not None:
            axes.plot(row["p99_ms"], y, marker="|", color=COLOURS[4], markersize=10)
    axes.set_yticks(range(len(ordered)), [label(r) for r in ordered])
    axes.set_xlim(left=0)
    axes.set_xlabel("ms per image: median with its 95 % interval; bar: p99")
    axes.set_title("Latency, single stream, batch 1, model only", loc="left")


def pareto(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of points (cost, value) that no other point beats in both, by rising cost."""
    best, front = float("-inf"), []
    for i in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1])):
        if points[i][1] > best:
            best = points[i][1]
            front.append(i)
    return front


def _accuracy(axes: Any, rows: Rows) -> None:
    points = [(float(r["p50_ms"]), float(r["mAP50-95"])) for r in rows]
    front = pareto(points)
    axes.plot([points[i][0] for i in front], [points[i][1] for i in front], color=COLOURS[7], lw=1, zorder=1)
    for (x, y), row in zip(points, rows, strict=True):
        failed = row["gate"] == "fail"
        axes.scatter(x, y, color=COLOURS[4] if failed else COLOURS[0], marker="x" if failed else "o", zorder=2)
        axes.annotate(label(row), (x, y), xytext=(4, 3), textcoords="offset points", fontsize=7)
    axes.set_xscale("log")
    axes.set_xlabel("ms per image, median, log scale")
    axes.set_ylabel("mAP50-95")
    axes.set_title("Accuracy against latency; line: Pareto front; cross: failed its gate", loc="left")


def _throughput(axes: Any, rows: Rows) -> None:
    by_name: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for row in rows:
        by_name[label(row)].append((int(row["batch"]), float(row["throughput_ips"])))
    for i, (name, points) in enumerate(sorted(by_name.items())):
        points.sort()
        style = {"color": COLOURS[i % len(COLOURS)], "ls": ("-", "--", ":")[i // len(COLOURS) % 3]}
        axes.plot(*zip(*points, strict=True), marker="o", label=name, **style)
    axes.set_xscale("log", base=2)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("batch")
    axes.set_ylabel("images a second")
    axes.set_title("Throughput by batch size", loc="left")
    axes.legend(fontsize=7, bbox_to_anchor=(1.0, 1.0), loc="upper left")


def _memory(axes: Any, rows: Rows) -> None:
    ordered = sorted(rows, key=lambda r: -float(r["memory_mb"]))
    axes.barh([label(r) for r in ordered], [float(r["memory_mb"]) for r in ordered], color=COLOURS[2])
    axes.set_xlabel("MB of peak resident memory above an empty process")
    axes.set_title("Memory", loc="left")
