"""Curves of evaluated files: precision against recall, and precision, recall and F1 against the threshold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from src.common.figures import save_png
from src.records.schema import EvaluationRecord
from src.report.figures.style import COLOURS, INK, STYLE, new_figure


def draw_curves(items: Sequence[tuple[str, EvaluationRecord]], path: Path) -> None:
    """Draw the curves of every file, by name, into one PNG."""
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        figure, (left, right) = new_figure(10.0, 4.2, columns=2)
        for i, (name, record) in enumerate(items):
            colour, points = COLOURS[i % len(COLOURS)], record.curve
            thresholds, precision, recall, f1 = ([p[k] for p in points] for k in range(4))
            left.plot(recall, precision, color=colour, lw=1.8, label=name)
            for values, style, label in ((f1, "-", name), (precision, ":", None), (recall, "--", None)):
                right.plot(thresholds, values, style, color=colour, lw=1.5, label=label)
            right.axvline(record.figures["threshold@production"], color=INK, lw=0.8, ls="-.")
        left.set_xlabel("recall, mean over classes, IoU 0.5")
        left.set_ylabel("precision")
        right.set_xlabel("confidence threshold (solid: F1, dotted: precision, dashed: recall; line: in use)")
        for axes in (left, right):
            axes.set_xlim(0, 1)
            axes.set_ylim(0, 1.02)
            axes.legend(loc="best", fontsize=8)
        save_png(figure, path)
