"""The evaluation in the terminal: figures with intervals, errors, classes, names and trends over epochs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from src.common.history import loss_names
from src.common.matrix import condensed
from src.common.sparkline import sparkline
from src.evaluate.errors import KINDS
from src.records.schema import EvaluationRecord, TrialRecord

FIGURES = ("mAP50", "mAP75", "AR@100", "AP-small", "AP-medium", "AP-large", "precision", "recall", "f1", "threshold")
MOST_CLASSES = 5
MOST_LOSSES = 2  # parts of the training loss that are drawn
MOST_PAIRS = 5
MOST_IN_MATRIX = 10


def number(value: float | None, digits: int = 3) -> str:
    """A number, or a dash where there is none."""
    return f"{value:.{digits}f}" if value is not None and math.isfinite(value) else "—"


def dashboard(trial: TrialRecord, records: Sequence[EvaluationRecord]) -> Group:
    """Everything about one finalist."""
    title = f"Trial {trial.trial}: {trial.model}, {trial.imgsz} px, lr {trial.lr:g}, seed {trial.seed}"
    parts: list[RenderableType] = [Text(title, style="bold"), trends(trial)]
    for split in sorted({r.split for r in records}, reverse=True):
        chosen = [r for r in records if r.split == split]
        parts += [figures_table(chosen), errors_table(chosen), classes_table(chosen[0])]
        parts += [*confusion_tables(chosen[0]), confusions_line(chosen[0])]
    return Group(*parts)


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
    table = Table(title=f"{first.split}, {first.n_images} images", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("")
    for r in records:
        table.add_column(f"{r.format}/{r.precision}\n{r.runtime}", justify="right")
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
    table = Table(title="errors at the best threshold", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("")
    for r in records:
        table.add_column(f"{r.format}/{r.precision}", justify="right")
    for kind in ("true_positives", *KINDS):
        table.add_row(kind.replace("_", " "), *[str(r.errors.get(kind, 0)) for r in records])
    if any(r.errors.get("ignored") for r in records):
        table.add_row("on ignored regions", *[str(r.errors.get("ignored", 0)) for r in records])
    return table


def classes_table(record: EvaluationRecord) -> Table:
    """The worst and the best classes."""
    known = sorted((c for c in record.per_class if c["AP50-95"] is not None), key=lambda c: c["AP50-95"])
    cut = len(known) > 2 * MOST_CLASSES
    shown = known[:MOST_CLASSES] + known[-MOST_CLASSES:] if cut else known
    table = Table(title=f"classes, {record.format}/{record.precision}", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("class", "objects", "AP50-95", "AP50"):
        table.add_column(name, justify="left" if name == "class" else "right")
    for i, c in enumerate(shown):
        table.add_row(escape(str(c["name"])), str(c["truths"]), number(c["AP50-95"]), number(c["AP50"]))
        if cut and i == MOST_CLASSES - 1:
            table.add_row("…", "", "", "")
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


def confusion_tables(record: EvaluationRecord) -> list[Table]:
    """Objects by class and by what they were called; of many classes, those with most mistakes. None in old records."""
    if not record.confusion_matrix:
        return []
    shown, others, cells = condensed(record.confusion_matrix, MOST_IN_MATRIX)
    names = [escape(str(record.per_class[c]["name"])) for c in shown] + (["others"] if others else [])
    title = f"objects by class (rows) and called class, best threshold, {record.format}/{record.precision}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("", *names, "missed"):
        table.add_column(name, justify="right" if name else "left")
    for name, row in zip([*names, "background"], cells, strict=True):
        table.add_row(name, *[str(n) if n else "·" for n in row])
    return [table]
