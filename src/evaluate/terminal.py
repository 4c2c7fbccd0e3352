"""The evaluation in the terminal: figures with intervals, errors, classes, names and trends over epochs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from src.cli.tables import table_of
from src.common.history import loss_names
from src.common.matrix import condensed
from src.common.sparkline import sparkline
from src.evaluate.errors import KINDS
from src.records.schema import EvaluationRecord, TrialRecord

FIGURES = ("mAP50", "mAP75", "AR@100", "AP-small", "AP-medium", "AP-large", "precision", "recall", "f1", "threshold")
MOST_CLASSES = 5
THRESHOLDS = tuple(t / 10 for t in range(1, 10))
MOST_LOSSES = 2  # parts of the training loss that are drawn
MOST_PAIRS = 5
MOST_IN_MATRIX = 10


def number(value: float | None, digits: int = 3) -> str:
    """A number, or a dash where there is none."""
    return f"{value:.{digits}f}" if value is not None and math.isfinite(value) else "—"


def headings(records: Sequence[EvaluationRecord]) -> list[str]:
    """What each column is called: its format and precision, numbered as the files are where two are alike."""
    names = [f"{r.format}/{r.precision}" for r in records]
    alike = len(set(names)) < len(names)
    return [f"{i + 1}: {name}" if alike else name for i, name in enumerate(names)]


def dashboard(trial: TrialRecord, records: Sequence[EvaluationRecord]) -> Group:
    """Everything about one finalist."""
    title = f"Trial {trial.trial}: {trial.model}, {trial.imgsz} px, lr {trial.lr:g}, seed {trial.seed}"
    parts: list[RenderableType] = [Text(title, style="bold"), trends(trial)]
    for split in sorted({r.split for r in records}, reverse=True):
        chosen = [r for r in records if r.split == split]
        parts += [figures_table(chosen), errors_table(chosen), classes_table(chosen[0], headings(chosen)[0])]
        parts += [*confusion_tables(chosen[0], headings(chosen)[0]), confusions_line(chosen[0])]
    return Group(*parts)


def files_dashboard(
    names: Sequence[str],
    records: Sequence[EvaluationRecord],
    differences: Sequence[dict[str, Any]],
    costs: Sequence[dict[str, Any]],
) -> Group:
    """Everything about model files that were evaluated on one split, the first in most detail.

    Args:
        names: of the files.
        records: one for each file.
        differences: of every file after the first from the first.
        costs: for each file thresholds per class, or nothing.
    """
    parts: list[RenderableType] = [Text(f"{i + 1}: {name}", style="bold") for i, name in enumerate(names)]
    parts += [figures_table(records), production_table(records)]
    parts += [difference_line(d) for d in differences]
    parts += [sweep_table(records), errors_table(records), classes_table(records[0], headings(records)[0])]
    parts += [*confusion_tables(records[0], headings(records)[0]), confusions_line(records[0])]
    parts += [costs_table(f"{i + 1}: {name}", costs[i]) for i, name in enumerate(names) if costs[i]]
    return Group(*parts)


def production_table(records: Sequence[EvaluationRecord]) -> Table:
    """The operating point: what the threshold in use gives."""
    table = table_of("at the threshold in use", "", *headings(records))
    for name in ("threshold", "precision", "recall", "f1", "detections-per-image", "detections-per-image-p95"):
        digits = 1 if name.startswith("detections") else 3
        said = name.replace("-per-", "/").replace("-p95", ", p95")
        table.add_row(said, *[number(r.figures.get(f"{name}@production"), digits) for r in records])
    return table


def sweep_table(records: Sequence[EvaluationRecord]) -> Table:
    """Precision, recall and F1 as the threshold moves."""
    table = table_of("by threshold: precision / recall / F1", "threshold", *headings(records))
    for t in THRESHOLDS:
        near = [min(r.curve, key=lambda p: abs(p[0] - t), default=None) for r in records]
        table.add_row(f"{t:.1f}", *[" / ".join(number(v) for v in p[1:4]) if p else "—" for p in near])
    return table


def difference_line(difference: dict[str, Any]) -> Text:
    """By how much a file differs from the first, with its interval."""
    low, high = difference["low"], difference["high"]
    known = f"95 % interval {low:+.4f} … {high:+.4f}" if math.isfinite(low) else "no interval"
    why = f" ({difference['note']})" if difference["note"] else ""
    return Text(f"{difference['file']} less {difference['less']}: {difference['mAP50-95']:+.4f} mAP50-95, {known}{why}")


def costs_table(name: str, costs: dict[str, Any]) -> Table:
    """Thresholds per class by cost, and what they cost on images that took no part in the choice."""
    title = f"{name}: a miss costs {costs['miss']:g}, a false alarm {costs['false_alarm']:g}"
    table = table_of(title, "", "cost", "missed", "false alarms")
    for key, said in (("shared", f"one threshold, {costs['shared_threshold']:g}"), ("per_class", "one per class")):
        counts = [str(costs[f"{kind}_{key}"]) for kind in ("missed", "false_alarms")]
        table.add_row(f"{costs['confirmed_on']}: {said}", f"{costs[f'cost_{key}']:g}", *counts)
    if costs["cost_per_class"] >= costs["cost_shared"]:
        table.caption = f"One per class is not cheaper on {costs['confirmed_on']}: keep the one threshold."
    for c, t in list(costs["thresholds"].items())[:MOST_IN_MATRIX]:
        table.add_row(f"{escape(c)}, chosen on {costs['chosen_on']}", f"≥ {t:.3f}", "", "")
    return table


def trends(trial: TrialRecord) -> Table:
    """Sparklines over epochs."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    losses = loss_names(trial.history[0])[:MOST_LOSSES] if trial.history else []
    for name in ("val/mAP50-95", "val/mAP50", *losses, "lr"):
        values = [row.get(name, math.nan) for row in trial.history]
        if any(math.isfinite(v) for v in values):
            table.add_row(name, sparkline(values[-60:], low=None), f"{number(values[0], 4)} → {number(values[-1], 4)}")
    return table


def figures_table(records: Sequence[EvaluationRecord]) -> Table:
    """A row per figure, a column per artifact."""
    first = records[0]
    columns = [f"{heading}\n{r.runtime}" for heading, r in zip(headings(records), records, strict=True)]
    table = table_of(f"{first.split}, {first.n_images} images", "", *columns)
    table.add_row("mAP50-95", *[number(r.figures.get("mAP50-95")) for r in records], style="bold")
    table.add_row("  95 % interval", *[_interval(r) for r in records])
    for name in FIGURES:
        table.add_row(name, *[number(r.figures.get(name)) for r in records])
    table.add_row("mean IoU", *[number(r.figures.get("mean-IoU")) for r in records])
    table.add_row("detections/image", *[number(r.figures.get("detections-per-image"), 1) for r in records])
    return table


def _interval(record: EvaluationRecord) -> str:
    low, high = record.intervals.get("mAP50-95", [math.nan, math.nan])
    return f"{number(low)} … {number(high)}"


def errors_table(records: Sequence[EvaluationRecord]) -> Table:
    """Counts of every kind of error at the best threshold."""
    table = table_of("errors at the best threshold", "", *headings(records))
    for kind in ("true_positives", *KINDS):
        table.add_row(kind.replace("_", " "), *[str(r.errors.get(kind, 0)) for r in records])
    if any(r.errors.get("ignored") for r in records):
        table.add_row("on ignored regions", *[str(r.errors.get("ignored", 0)) for r in records])
    return table


def classes_table(record: EvaluationRecord, heading: str) -> Table:
    """The worst and the best classes."""
    known = sorted((c for c in record.per_class if c["AP50-95"] is not None), key=lambda c: c["AP50-95"])
    cut = len(known) > 2 * MOST_CLASSES
    shown = known[:MOST_CLASSES] + known[-MOST_CLASSES:] if cut else known
    table = table_of(f"classes, {heading}", "class", "objects", "AP50-95", "AP50", "recall in use")
    for i, c in enumerate(shown):
        recall = number(c.get("recall@production"))
        table.add_row(escape(str(c["name"])), str(c["truths"]), number(c["AP50-95"]), number(c["AP50"]), recall)
        if cut and i == MOST_CLASSES - 1:
            table.add_row("…", "", "", "", "")
    return table


def confusions_line(record: EvaluationRecord) -> Text:
    """The most frequent confusions of classes: objects that were only misnamed, and boxes too many on others.

    Records of earlier versions counted boxes over objects that were found rightly among the confusions.
    """
    pairs = ", ".join(f"{a} taken for {b} ({n})" for a, b, n in record.confusions[:MOST_PAIRS])
    if not record.confusion_matrix:
        return Text(f"confused, boxes too many counted as well (again=true sorts them out): {pairs or 'none'}\n")
    again = ", ".join(f"{a} also called {b} ({n})" for a, b, n in record.also_called[:MOST_PAIRS])
    return Text(f"confused: {pairs or 'none'}\nfound rightly, with another name too: {again or 'none'}\n")


def confusion_tables(record: EvaluationRecord, heading: str) -> list[Table]:
    """Objects by class and by what they were called; of many classes, those with most mistakes. None in old records."""
    if not record.confusion_matrix:
        return []
    shown, others, cells = condensed(record.confusion_matrix, MOST_IN_MATRIX)
    names = [escape(str(record.per_class[c]["name"])) for c in shown] + (["others"] if others else [])
    title = f"objects by class (rows) and called class, best threshold, {heading}"
    table = table_of(title, "", *names, "missed")
    for name, row in zip([*names, "background"], cells, strict=True):
        table.add_row(name, *[str(n) if n else "·" for n in row])
    return [table]
