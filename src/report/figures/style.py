"""What all figures share: colours, sizes and legends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from src.report.rank import Ranking
from src.report.text import Catalogue

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 20  # configurations or candidates in one figure
MOST_CURVES = 24
# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
INK, FAINT = "#333333", "#D9D9D9"
STYLE: Any = {
    "font.size": 9,
    "axes.edgecolor": "#888888",
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#EBEBEB",
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "figure.dpi": 100,
    "savefig.dpi": 150,
}


def new_figure(width: float, height: float, columns: int = 1) -> tuple[Figure, Any]:
    """A figure without pyplot's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, columns)


def colours_of(ranking: Ranking) -> dict[str, str]:
    """A colour per model, the same in every figure."""
    models = sorted({c.model for c in ranking.configurations})
    return {model: COLOURS[i % len(COLOURS)] for i, model in enumerate(models)}


def more(shown: int, total: int, words: Catalogue) -> str:
    """A remark for an axis on how many of all are shown."""
    return f" ({words.say('figure_more', shown=shown, total=total)})" if total > shown else ""


def key(axes: Axes, entries: list[tuple[str, str, str]]) -> None:
    """A legend of (marker, fill, label) above the axes."""
    for marker, fill, label in entries:
        axes.plot([], [], marker, mfc=fill, mec=INK, mew=1.2, ls="none", ms=6, label=label)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=8, ncols=len(entries))


def legend(axes: Axes, colours: dict[str, str]) -> None:
    """A legend of colours inside the axes."""
    for name, colour in colours.items():
        axes.plot([], [], "-", lw=4, color=colour, label=name)
    axes.legend(loc="upper right", fontsize=8)


def shade(share: float) -> tuple[float, float, float]:
    """A colour from pale (0) to deep (1), for lines ordered by their score."""
    pale, deep = (0.80, 0.87, 0.93), (0.0, 0.27, 0.47)
    return (_mix(pale[0], deep[0], share), _mix(pale[1], deep[1], share), _mix(pale[2], deep[2], share))


def _mix(a: float, b: float, share: float) -> float:
    return a + (b - a) * share
