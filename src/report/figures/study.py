"""The course of the search: what came when, which keys mattered, which values went together, what was pruned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from src.decide.choice import Decision
from src.decide.configurations import value_of
from src.records.schema import TrialRecord
from src.report.figures.style import COLOURS, INK, above, new_figure, shade
from src.report.importance import as_number, importance
from src.report.searched import pruned, scored, too_few, varied_keys
from src.report.text import Catalogue

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LINES = 300
MOST_TICKS = 8
APART = 0.05  # of an axis' height, between two labels
WIDE = 20.0  # largest over smallest value of a number from which its axis is logarithmic
DONE, PRUNED, FAILED = COLOURS[0], COLOURS[1], COLOURS[6]


def history_figure(decision: Decision, words: Catalogue) -> Figure | None:
    """The objective of every trial in its turn, and the best so far."""
    if too_few(decision):
        return None
    pairs = scored(decision)
    figure, axes = new_figure(7.5, 3.4)
    numbers, scores = [t.trial for t, _ in pairs], [s for _, s in pairs]
    axes.step(
        numbers,
        list(accumulate(scores, max)),
        where="post",
        color=INK,
        lw=1.2,
        label=words.say("figure_best_so_far"),
        zorder=2,
    )
    axes.plot(numbers, scores, "o", ms=_size(len(scores)), color=DONE, alpha=0.7, label=words.say("figure_run"))
    floor = min(scores)
    for state, colour, marker in (("pruned", PRUNED, "x"), ("failed", FAILED, "v")):
        lost = [t for t in decision.saved.trials if t.state == state]
        if lost:
            heights = [_last(t, decision.saved.sweep.objective, floor) for t in lost]
            label = words.say(f"figure_{state}")
            axes.plot([t.trial for t in lost], heights, marker, ms=6, mew=1.5, color=colour, label=label)
    axes.set_xlabel(words.say("figure_trial"))
    axes.set_ylabel(words.say("figure_score"))
    axes.xaxis.get_major_locator().set_params(integer=True)
    above(figure, ncols=4)
    return figure


def _last(trial: TrialRecord, name: str, floor: float) -> float:
    """The last objective of a trial that was not finished; at the bottom without one."""
    values = [row[name] for row in trial.history if math.isfinite(row.get(name, math.nan))]
    return values[-1] if values else floor


def _size(n: int) -> float:
    return 5.0 if n < 200 else 2.5


def importance_figure(decision: Decision, words: Catalogue) -> Figure | None:
    """The share of the variance between configurations that each swept key explains."""
    groups, keys = decision.finished, varied_keys(decision)
    rows = [{k: value_of(c.trials[0], k) for k in keys} for c in groups]
    found = importance(rows, [c.spread.mean for c in groups])
    if len(found) < 2:
        return None
    figure, axes = new_figure(6.5, 1.0 + 0.34 * len(found))
    axes.barh(range(len(found)), list(found.values()), height=0.6, color=DONE)
    for row, share in enumerate(found.values()):
        axes.annotate(f"{100 * share:.0f} %", (share, row), (4, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(range(len(found)), list(found))
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.set_xlim(0, min(1.0, 1.15 * max(found.values())) or 1.0)
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axes.set_xlabel(words.say("figure_importance", n=len(groups)))
    axes.grid(axis="y", visible=False)
    return figure


def parallel_figure(decision: Decision, words: Catalogue) -> Figure | None:
    """A line per finished run through the values of its keys to its objective."""
    keys = varied_keys(decision)
    if too_few(decision) or len(keys) < 2:
        return None
    from matplotlib.collections import LineCollection

    best_first = sorted(scored(decision), key=lambda pair: -pair[1])
    shown = _thinned(best_first, MOST_LINES)
    scores = [s for _, s in shown]
    columns = [_column([value_of(t, k) for t, _ in shown]) for k in keys]
    columns.append(_column([repr(s) for s in scores]))
    figure, axes = new_figure(max(6.5, 1.7 * len(columns)), 3.8)
    low, high = min(scores), max(scores)
    order = range(len(shown) - 1, -1, -1)  # the best are drawn last and lie on top
    lines = [[(x, column.heights[i]) for x, column in enumerate(columns)] for i in order]
    colours = [shade((scores[i] - low) / (high - low) if high > low else 1.0) for i in order]
    axes.add_collection(LineCollection(lines, colors=colours, linewidths=1.3, alpha=0.85))
    for x, column in enumerate(columns):
        axes.axvline(x, color=INK, lw=0.8, zorder=3)
        _ticks(axes, x, column, last=x == len(columns) - 1)
    axes.set_xlim(-0.35, len(columns) - 0.55)
    axes.set_ylim(-0.04, 1.04)
    axes.set_xticks(range(len(columns)), [*keys, words.say("figure_score")])
    axes.set_yticks([])
    axes.grid(visible=False)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0)
    return figure


class Column:
    """One axis of the parallel coordinates: where each line crosses it (0..1), and its ticks."""

    def __init__(self, heights: list[float], ticks: list[tuple[float, str]]) -> None:
        self.heights, self.ticks = heights, ticks


def _column(values: Sequence[str]) -> Column:
    """Numbers by their size (logarithmic when wide), words at even distances."""
    numbers = [n for v in values if (n := as_number(v)) is not None]
    if len(numbers) == len(values):
        low, high = min(numbers), max(numbers)
        scale = math.log if low > 0 and high / low >= WIDE else float
        places = {n: _share(scale(n), scale(low), scale(high)) for n in set(numbers)}
        marks = sorted(places) if len(places) <= MOST_TICKS else [low, _middle(low, high, scale is math.log), high]
        ticks = [(_share(scale(m), scale(low), scale(high)), f"{m:.3g}") for m in marks]
        return Column([places[n] for n in numbers], ticks)
    names = sorted(set(values))
    at = {name: i / max(1, len(names) - 1) for i, name in enumerate(names)}
    return Column([at[v] for v in values], [(at[n], n[:14]) for n in names[:MOST_TICKS]])


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


def _middle(low: float, high: float, log: bool) -> float:
    return math.sqrt(low * high) if log else (low + high) / 2


def _apart(ticks: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Ticks that leave room for each other's labels; the ends of the axis come first."""
    kept: list[tuple[float, str]] = []
    for tick in sorted(ticks, key=lambda tick: min(tick[0], 1 - tick[0])):
        if all(abs(tick[0] - other[0]) >= APART for other in kept):
            kept.append(tick)
    return kept


def _ticks(axes: Axes, x: int, column: Column, *, last: bool) -> None:
    for height, text in _apart(column.ticks):
        side = 5 if last else -5
        axes.annotate(
            text,
            (x, height),
            (side, 0),
            textcoords="offset points",
            ha="left" if last else "right",
            va="center",
            fontsize=8,
            bbox={"boxstyle": "round,pad=0.12", "fc": "white", "ec": "none", "alpha": 0.8},
            zorder=4,
        )


def _thinned(best_first: list[tuple[TrialRecord, float]], most: int) -> list[tuple[TrialRecord, float]]:
    """The best half of `most`, and evenly spread ones of the rest."""
    if len(best_first) <= most:
        return best_first
    head, rest = best_first[: most // 2], best_first[most // 2 :]
    step = len(rest) / (most - most // 2)
    return head + [rest[int(i * step)] for i in range(most - most // 2)]


def pruning_figure(decision: Decision, words: Catalogue) -> Figure | None:
    """Curves of finished and of pruned trials; None when nothing was pruned."""
    name = decision.saved.sweep.objective
    stopped = pruned(decision)[:MOST_LINES]
    if not stopped:
        return None
    figure, axes = new_figure(7.5, 3.6)
    for t, _ in _thinned(sorted(scored(decision), key=lambda pair: -pair[1]), MOST_LINES):
        axes.plot(*_curve(t, name), color=DONE, lw=1, alpha=0.3)
    for t in stopped:
        epochs, values = _curve(t, name)
        axes.plot(epochs, values, color=PRUNED, lw=1.1, alpha=0.8, zorder=3)
        axes.plot(epochs[-1:], values[-1:], "x", color=PRUNED, ms=5, mew=1.5, zorder=4)
    axes.plot([], [], "-", color=DONE, label=words.say("figure_finished"))
    axes.plot([], [], "-x", color=PRUNED, label=words.say("figure_pruned"))
    axes.set_xlabel(words.say("figure_epoch"))
    axes.set_ylabel(words.say("figure_score"))
    axes.xaxis.get_major_locator().set_params(integer=True)
    above(figure, ncols=2)
    return figure


def _curve(trial: TrialRecord, name: str) -> tuple[list[float], list[float]]:
    pairs = [(row.get("epoch", i + 1.0), row[name]) for i, row in enumerate(trial.history) if name in row]
    return [p[0] for p in pairs], [p[1] for p in pairs]
