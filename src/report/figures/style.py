"""What all figures share: colours, sizes and legends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from src.decide.choice import Decision
from src.report.text import Catalogue

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 20  # configurations or candidates in one figure
MOST_CURVES = 24
NARROW = 6.0  # highest over lowest latency below which ticks are even
MOST_MARKS = 8  # steps between ticks
# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
INK, BAND = "#333333", "#F0E442"
STYLE: Any = {
    "font.size": 9,
    "text.parse_math": False,  # a name with a dollar sign is no formula
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
    "figure.dpi": 150,
    "figure.facecolor": "white",
}


def new_figure(width: float, height: float, columns: int = 1) -> tuple[Figure, Any]:
    """A figure without pyplot's global state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, columns)


def colours_of(decision: Decision) -> dict[str, str]:
    """A colour per model, the same in every figure."""
    models = sorted({c.model for c in decision.configurations})
    return {model: COLOURS[i % len(COLOURS)] for i, model in enumerate(models)}


def more(shown: int, total: int, words: Catalogue) -> str:
    """A remark for an axis on how many of all are shown."""
    return f" ({words.say('figure_more', shown=shown, total=total)})" if total > shown else ""


def key(figure: Figure, axes: Axes, entries: list[tuple[str, str, str]]) -> None:
    """A legend of (marker, fill, label) above the figure."""
    for marker, fill, label in entries:
        axes.plot([], [], marker, mfc=fill, mec=INK, mew=1.2, ls="none", ms=6, label=label)
    above(figure, ncols=4)


def above(figure: Figure, ncols: int) -> None:
    """A legend above the axes, which the layout makes room for however wide it is."""
    figure.legend(loc="outside upper center", fontsize=8, ncols=ncols, columnspacing=1.2, handletextpad=0.5)


def width_for(labels: Sequence[str], plot: float = 5.0) -> float:
    """Width in inches of a figure whose axes keep `plot` inches beside labels of this length."""
    return plot + 0.068 * max(len(label) for label in labels)


def margin_band(axes: Axes, best: float, margin: float, words: Catalogue, *, upright: bool) -> None:
    """The band below the best in which a model may lie and still ship."""
    span = axes.axvspan if upright else axes.axhspan
    span(best - margin, best, color=BAND, alpha=0.35, lw=0, zorder=0, label=words.say("figure_margin"))


def log_latency(axes: Axes, words: Catalogue) -> None:
    """A logarithmic axis of milliseconds: one slow or noisy candidate must not flatten the others."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(FixedLocator(log_ticks(low, high)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: words.plain(value)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(low, high)


def log_ticks(low: float, high: float) -> list[float]:
    """Round values for a logarithmic axis, about four to nine whether it spans a tenth or nine decades.

    Within less than a decade they are as far apart as on a plain axis, which reads better there than 1, 2 and 5 alone.
    """
    if high < NARROW * low:
        return _within(_even(high - low), low, high)
    decades = math.log10(high / low)
    subs = (1, 2, 3, 5, 7) if decades < 1.5 else (1, 2, 5) if decades < 2.5 else (1, 3) if decades < 4 else (1,)
    every = max(1, round(decades / MOST_MARKS))  # of the decades
    first, last = math.floor(math.log10(low) / every) * every, math.ceil(math.log10(high))
    found = [sub * 10.0**power for power in range(first, last + 1, every) for sub in subs]
    return [float(f"{v:.6g}") for v in found if low <= v <= high]


def _within(step: float, low: float, high: float) -> list[float]:
    return [float(f"{i * step:.6g}") for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _even(span: float) -> float:
    """1, 2 or 5 times a power of ten, four to nine of which fit into a span."""
    power = 10.0 ** math.floor(math.log10(span / MOST_MARKS))
    return next(step * power for step in (1, 2, 5, 10) if span / (step * power) <= MOST_MARKS)


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
