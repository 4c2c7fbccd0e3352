"""Candidates on every machine: lines that cross are rankings that turn over."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from src.config.devices import OWN
from src.decide.candidates import Candidate
from src.decide.choice import Decision
from src.decide.speed import cost
from src.report.devices import machines
from src.report.figures.style import COLOURS, MARKERS, new_figure
from src.report.names import short
from src.report.text import Catalogue

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BEYOND = 3.0  # how far the frame reaches beyond the lowest and the highest median, as a factor


def devices_figure(decision: Decision, words: Catalogue) -> Figure | None:
    """Latency relative to the fastest candidate on each machine, with intervals; None with one machine."""
    found = {name: there for name, there in machines(decision).items() if any(c.measured for c in there)}
    if len(found) < 2:
        return None
    figure, axes = new_figure(4.2 + 1.3 * len(found) + 2.5, 4.6)
    fastest = {name: min(cost(c, decision.statistic) for c in there) for name, there in found.items()}
    shown = range(len(next(iter(found.values()))))
    for i in shown:
        column = [(name, there[i]) for name, there in found.items()]
        if any(c.measured for _, c in column):
            _line(axes, column, i, len(shown), fastest, decision.statistic)
    _scale(axes, found, fastest, words)
    points = [cost(c, decision.statistic) / fastest[name] for name, there in found.items() for c in there]
    known = [value for value in points if math.isfinite(value)]
    # An interval of two disturbed rounds spans decades: it runs out of the frame instead of flattening all the others.
    axes.set_ylim(min(known) / BEYOND, max(known) * BEYOND)
    axes.set_ylabel(words.say("figure_relative", statistic=decision.statistic))
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8, labelspacing=0.9)
    return figure


def _line(
    axes: Axes, column: list[tuple[str, Candidate]], i: int, of: int, fastest: dict[str, float], statistic: str
) -> None:
    """One candidate over the machines, a little beside the others so that intervals can be told apart."""
    colour, marker, beside = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)], 0.24 * (i / max(1, of - 1) - 0.5)
    at = [x + beside for x in range(len(column))]
    values = [cost(c, statistic) / fastest[name] for name, c in column]
    drawn = [v if math.isfinite(v) else math.nan for v in values]
    axes.plot(at, drawn, "-", color=colour, lw=1.2, alpha=0.55)
    axes.plot(at, drawn, marker, color=colour, ms=6, label=short(column[0][1]))
    for x, (name, c) in zip(at, column, strict=True):
        if statistic in c.latency_interval:
            low, high = (v / fastest[name] for v in c.latency_interval[statistic])
            axes.plot([x, x], [low, high], "-", color=colour, lw=2, alpha=0.8)


def _scale(axes: Axes, found: dict[str, list[Candidate]], fastest: dict[str, float], words: Catalogue) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{words.plain(value)}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    names = {name: words.say("sweeps_machine") if name == OWN else name for name in found}
    labels = [f"{names[name]}\n1 = {words.number(fastest[name], 1)} ms" for name in found]
    axes.set_xticks(range(len(labels)), labels)
    axes.set_xlim(-0.4, len(labels) - 0.6)
