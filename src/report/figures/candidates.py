"""What the candidates cost: accuracy against latency, and latencies with their tails."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from src.decide.candidates import Candidate
from src.decide.choice import Decision
from src.decide.speed import cost
from src.report.figures.style import (
    FAINT,
    INK,
    MARKERS,
    MOST,
    colours_of,
    key,
    more,
    new_figure,
    short,
    width_for,
)
from src.report.text import Catalogue

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def tradeoff_figure(ranking: Decision, words: Catalogue) -> Figure | None:
    """Score against latency, with intervals and the Pareto front."""
    known = [c for c in ranking.candidates if c.measured and c.verified]
    if not known:
        return None
    figure, axes = new_figure(8, 4.6)
    colours = colours_of(ranking)
    kinds = sorted({f"{c.format}/{c.precision}" for c in known})
    markers = {kind: MARKERS[i % len(MARKERS)] for i, kind in enumerate(kinds)}
    for c in known:
        _point(axes, c, ranking, colours[c.configuration.model], markers[f"{c.format}/{c.precision}"])
    _front(axes, known, ranking, words)
    if ranking.recommended in known and ranking.recommended is not None:
        x, y = cost(ranking.recommended, ranking.statistic), ranking.recommended.score.mean
        axes.plot([x], [y], "o", ms=15, mfc="none", mec=INK, mew=1.4, label=words.say("figure_winner"), zorder=5)
    latencies = [cost(c, ranking.statistic) for c in known]
    if max(latencies) > 4 * min(latencies):
        _log_axis(axes)
    axes.set_xlabel(words.say("figure_latency", statistic=ranking.statistic, batch=ranking.settings.batch))
    axes.set_ylabel(words.say("figure_accuracy"))
    for model in sorted({c.configuration.model for c in known}):
        axes.plot([], [], "-", lw=5, color=colours[model], label=model)
    for kind in kinds:
        axes.plot([], [], markers[kind], color="#777777", ls="none", label=kind)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8)
    return figure


def _log_axis(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _point(axes: Axes, c: Candidate, ranking: Decision, colour: str, marker: str) -> None:
    x, y = cost(c, ranking.statistic), c.score.mean
    low, high = c.latency_interval.get(ranking.statistic, (x, x))
    axes.plot([low, high], [y, y], color=colour, lw=1, alpha=0.5)
    if math.isfinite(c.score.low) and c.score.n > 2:  # two seeds give an interval that would flatten the figure
        axes.plot([x, x], [c.score.low, c.score.high], color=colour, lw=1, alpha=0.35)
    fill = colour if c.key in ranking.feasible else "white"
    axes.plot([x], [y], marker, ms=6.5, mfc=fill, mec=colour, alpha=0.9, zorder=3)


def _front(axes: Axes, known: list[Candidate], ranking: Decision, words: Catalogue) -> None:
    """The staircase of points that no other point beats; the tables say what holds beyond the noise."""
    steps: list[tuple[float, float]] = []
    for c in sorted(known, key=lambda c: (cost(c, ranking.statistic), -c.score.mean)):
        if not steps or c.score.mean > steps[-1][1]:
            steps.append((cost(c, ranking.statistic), c.score.mean))
    xs, ys = [s[0] for s in steps], [s[1] for s in steps]
    for c in known:
        if (point := (cost(c, ranking.statistic), c.score.mean)) in steps[-8:]:
            label = f"{c.configuration.model} {c.configuration.imgsz}"
            axes.annotate(label, point, (5, -11), textcoords="offset points", fontsize=7, color="#666666")
    axes.step(xs, ys, where="post", color=INK, lw=1, ls="--", alpha=0.7, label=words.say("figure_front"), zorder=2)


def latency_figure(ranking: Decision, words: Catalogue) -> Figure | None:
    """Median and tail latency of every candidate with intervals."""
    known = sorted((c for c in ranking.candidates if c.measured), key=lambda c: c.latency.get("p50", math.inf))
    if not known:
        return None
    shown = known[:MOST]
    figure, axes = new_figure(width_for([short(c) for c in shown]), 1.1 + 0.3 * len(shown))
    colours = colours_of(ranking)
    tail = next((p for p in ("p99", "p95", "p90") if all(p in c.latency for c in shown)), None)
    for row, c in enumerate(shown):
        colour = colours[c.configuration.model]
        names = ["p50"] + ([tail] if tail else [])
        for name, marker in zip(names, ("o", "|"), strict=False):
            value = c.latency.get(name, math.nan)
            low, high = c.latency_interval.get(name, (value, value))
            axes.plot([low, high], [row, row], color=colour, lw=2.5, alpha=0.4, solid_capstyle="butt")
            axes.plot([value], [row], marker, ms=6 if marker == "o" else 11, mew=1.6, color=colour, zorder=3)
        if tail:
            axes.plot([c.latency["p50"], c.latency[tail]], [row, row], color=FAINT, lw=1, zorder=1)
    axes.set_yticks(range(len(shown)), [short(c) for c in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(left=0)
    label = words.say("figure_latency", statistic="p50" + (f", {tail}" if tail else ""), batch=ranking.settings.batch)
    axes.set_xlabel(label + more(len(shown), len(known), words))
    axes.grid(axis="y", visible=False)
    key(figure, axes, [("o", INK, "p50"), *([("|", INK, tail)] if tail else [])])
    return figure
