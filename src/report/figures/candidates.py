"""What the candidates cost: accuracy against latency, and latencies with their tails."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from src.decide.candidates import Candidate
from src.decide.choice import Decision
from src.decide.speed import cost
from src.report.figures.style import (
    INK,
    MARKERS,
    MOST,
    colours_of,
    key,
    log_latency,
    margin_band,
    more,
    new_figure,
    width_for,
)
from src.report.names import short
from src.report.text import Catalogue

MOST_POINTS = 60  # of the trade-off; more can't be told apart

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def tradeoff_figure(decision: Decision, words: Catalogue) -> Figure | None:
    """Score against latency, with intervals, the margin below the best and the Pareto front."""
    known = [c for c in decision.candidates if c.measured and c.verified][:MOST_POINTS]
    if not known:
        return None
    figure, axes = new_figure(8, 4.6)
    colours = colours_of(decision)
    kinds = sorted({f"{c.format}/{c.precision}" for c in known})
    markers = {kind: MARKERS[i % len(MARKERS)] for i, kind in enumerate(kinds)}
    for c in known:
        _point(axes, c, decision, colours[c.configuration.model], markers[f"{c.format}/{c.precision}"])
    if decision.best is not None:
        margin_band(axes, decision.best.score.mean, decision.settings.margin, words, upright=False)
    for size, role, who in ((15, "figure_best", decision.best), (19, "figure_winner", decision.recommended)):
        if who is not None and who in known:
            x, y = cost(who, decision.statistic), who.score.mean
            dash = ":" if role == "figure_best" else "-"
            _ring(axes, x, y, size, dash, words.say(role))
    log_latency(axes, words)
    axes.set_xlabel(words.say("figure_latency", statistic=decision.statistic, batch=decision.settings.batch))
    axes.set_ylabel(words.say("figure_accuracy") + more(len(known), len(decision.candidates), words))
    axes.plot([], [], "o", mfc="#BBBBBB", mec=INK, mew=1.5, ls="none", label=words.say("figure_front"))
    for model in sorted({c.configuration.model for c in known}):
        axes.plot([], [], "-", lw=5, color=colours[model], label=model)
    for kind in kinds:
        axes.plot([], [], markers[kind], color="#777777", ls="none", label=kind)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8, labelspacing=0.9)
    return figure


def _ring(axes: Axes, x: float, y: float, size: float, dash: str, label: str) -> None:
    """A ring around what is marked; the legend shows a smaller one."""
    axes.scatter([x], [y], s=size**2, facecolors="none", edgecolors=INK, linewidths=1.4, linestyle=dash, zorder=5)
    axes.scatter([], [], s=90, facecolors="none", edgecolors=INK, linewidths=1.4, linestyle=dash, label=label)


def _point(axes: Axes, c: Candidate, decision: Decision, colour: str, marker: str) -> None:
    x, y = cost(c, decision.statistic), c.score.mean
    low, high = _drawn(c, decision.statistic)
    axes.plot([low, high], [y, y], color=colour, lw=1, alpha=0.5)
    if math.isfinite(c.interval[0]):
        axes.plot([x, x], list(c.interval), color=colour, lw=1, alpha=0.35)
    fill = colour if c.key in decision.feasible else "white"
    edge = INK if c.key in decision.pareto else colour
    axes.plot([x], [y], marker, ms=6.5, mfc=fill, mec=edge, mew=1.4, alpha=0.9, zorder=3)


def _drawn(c: Candidate, name: str) -> tuple[float, float]:
    """The ends of a latency's interval on a logarithmic axis; the point itself where nothing is known."""
    value = c.latency.get(name, math.nan)
    low, high = c.latency_interval.get(name, (value, value))
    return (low if low > 0 else value, high if math.isfinite(high) else value)


def latency_figure(decision: Decision, words: Catalogue) -> Figure | None:
    """Median and tail latency of every candidate with intervals."""
    known = sorted((c for c in decision.candidates if c.measured), key=lambda c: c.latency.get("p50", math.inf))
    if not known:
        return None
    shown = known[:MOST]
    labels = [short(c) + ("  ◀" if c is decision.recommended else "") for c in shown]
    figure, axes = new_figure(width_for(labels), 1.1 + 0.3 * len(shown))
    colours = colours_of(decision)
    tail = next((p for p in ("p99", "p95", "p90") if all(p in c.latency for c in shown)), None)
    for row, c in enumerate(shown):
        colour = colours[c.configuration.model]
        names = ["p50"] + ([tail] if tail else [])
        for name, marker, at in zip(names, ("o", "|"), (row - 0.12, row + 0.16), strict=False):
            value = c.latency.get(name, math.nan)
            low, high = _drawn(c, name)
            axes.plot([low, high], [at, at], color=colour, lw=2.5, alpha=0.4, solid_capstyle="butt")
            axes.plot([value], [at], marker, ms=6 if marker == "o" else 11, mew=1.6, color=colour, zorder=3)
    axes.set_yticks(range(len(shown)), labels)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    log_latency(axes, words)
    label = words.say("figure_latency", statistic="p50" + (f", {tail}" if tail else ""), batch=decision.settings.batch)
    axes.set_xlabel(label + more(len(shown), len(known), words))
    axes.grid(axis="y", visible=False)
    entries = [("o", INK, "p50"), *([("|", INK, tail)] if tail else [])]
    if decision.recommended in shown:
        entries.append(("<", INK, words.say("figure_winner")))
    key(figure, axes, entries)
    return figure
