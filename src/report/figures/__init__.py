"""The report's figures, drawn from saved records: what was found, its noise, and what accuracy costs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from src.common.figures import save_png
from src.decide.choice import Decision
from src.report.figures.candidates import latency_figure, tradeoff_figure
from src.report.figures.devices import devices_figure
from src.report.figures.in_depth import errors_figure, thresholds_figure
from src.report.figures.layers import layers_figure
from src.report.figures.looks import closing_figure
from src.report.figures.study import history_figure, importance_figure, parallel_figure, pruning_figure
from src.report.figures.style import STYLE
from src.report.figures.trials import configurations_figure, training_figure
from src.report.text import Catalogue

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAKERS: dict[str, Callable[[Decision, Catalogue], Figure | None]] = {
    "configurations": configurations_figure,
    "training": training_figure,
    "history": history_figure,
    "importance": importance_figure,
    "parallel": parallel_figure,
    "pruning": pruning_figure,
    "tradeoff": tradeoff_figure,
    "latency": latency_figure,
    "devices": devices_figure,
    "closing": closing_figure,
    "errors": errors_figure,
    "thresholds": thresholds_figure,
    "layers": layers_figure,
}


def draw_figures(decision: Decision, folder: Path, words: Catalogue) -> list[Path]:
    """Draw every figure that the records allow into `folder`; returns their paths."""
    import matplotlib as mpl

    drawn = []
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        for name, make in MAKERS.items():
            path = folder / f"{name}.png"
            path.unlink(missing_ok=True)  # of an earlier report on other records
            figure = make(decision, words)
            if figure is not None:
                save_png(figure, path)
                drawn.append(path)
    return drawn
