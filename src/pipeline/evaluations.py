"""Puts the evaluations in depth into the runs of their trials: the same figures as the report and the terminal show."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import groupby

from rich.console import Console

from src.common.whole_files import write_text
from src.evaluate.terminal import dashboard
from src.pipeline.context import Context
from src.pipeline.runs import closing
from src.records.schema import EvaluationRecord, TrialRecord
from src.records.store import load
from src.records.sweep_folder import TrialFolder
from src.track import plain, segments

WIDTH = 140  # characters of the dashboard as a file


def log_evaluations(found: Sequence[EvaluationRecord], context: Context) -> None:
    """Log figures, classes, threshold sweeps, the records themselves and the dashboard to every finalist's run."""
    for number, group in groupby(sorted(found, key=lambda r: r.trial), key=lambda r: r.trial):
        records = list(group)
        folder = context.trial_folder(number)
        trial = load(TrialRecord, TrialFolder(folder).record)
        write_text(TrialFolder(folder).evaluation / "dashboard.txt", dashboard_text(trial, records))
        if (text := renamed(records[0])) is not None:
            write_text(TrialFolder(folder).evaluation / "class_names.txt", text)
        with closing(context, trial.run_id, interrupted="FINISHED") as run:  # the trial itself was finished before
            for record in records:
                run.metrics(figures_of(record))
                run.series(sweep_of(record))
            run.folder(TrialFolder(folder).evaluation, "evaluation")


def stem(record: EvaluationRecord) -> str:
    """`eval/<split>/<runtime>/<format>/<precision>`."""
    return f"eval/{record.split}/{record.runtime}/{record.format}/{record.precision}"


def figures_of(record: EvaluationRecord) -> dict[str, float]:
    """Figures, ends of intervals, counts of errors and AP by class, under names that MLflow takes."""
    head = stem(record)
    out = {f"{head}/{plain(name)}": value for name, value in record.figures.items()}
    for name, (low, high) in record.intervals.items():
        out |= {f"{head}/{plain(name)}_low": low, f"{head}/{plain(name)}_high": high}
    out |= {f"{head}/errors/{kind}": float(count) for kind, count in record.errors.items()}
    for row, own in zip(record.per_class, class_segments(record), strict=True):
        values = {name: row[name] for name in ("AP50-95", "AP50") if row.get(name) is not None}
        out |= {f"{head}/class/{own}/{name}": float(value) for name, value in values.items()}
    return out


def class_segments(record: EvaluationRecord) -> list[str]:
    """Each class's part of a metric's name.

    A record has a row for every class of the dataset, in the dataset's order, so that a class has the same one on every
    split and runtime.
    """
    return segments([str(row["name"]) for row in record.per_class])


def renamed(record: EvaluationRecord) -> str | None:
    """Which metric belongs to which class, a line each, where MLflow does not take all names as they are."""
    pairs = [(own, str(row["name"])) for row, own in zip(record.per_class, class_segments(record), strict=True)]
    if all(own == name for own, name in pairs):
        return None
    return "".join(f"class/{own}\t{name}\n" for own, name in pairs)


def sweep_of(record: EvaluationRecord) -> dict[str, list[tuple[int, float]]]:
    """Precision, recall and F1 by confidence threshold; the step is the threshold in thousandths."""
    head = f"{stem(record)}/by_threshold"
    return {
        f"{head}/{name}": [(round(1000 * point[0]), point[i]) for point in record.curve]
        for i, name in enumerate(("precision", "recall", "f1"), start=1)
    }


def dashboard_text(trial: TrialRecord, records: Sequence[EvaluationRecord]) -> str:
    """The dashboard of `python -m src.evaluate` as plain text."""
    stream = io.StringIO()
    Console(file=stream, width=WIDTH, no_color=True).print(dashboard(trial, records))
    return stream.getvalue()
