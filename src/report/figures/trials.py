"""What was trained: the score of every configuration, and the curves of its runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from src.decide.choice import Decision
from src.records import TrialRecord
from src.report.figures.style import (
    INK,
    MOST,
    MOST_CURVES,
    colours_of,
    key,
    legend,
    more,
    new_figure,
    short,
    width_for,
)
from src.report.text import Catalogue

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def configurations_figure(ranking: Decision, words: Catalogue) -> Figure | None:
    """mAP of every configuration: each run, the mean and its interval."""
    shown = ranking.finished[:MOST]
    if not shown:
        return None
    figure, axes = new_figure(width_for([short(c) for c in shown]), 1.0 + 0.32 * len(shown))
    colours = colours_of(ranking)
    for row, c in enumerate(shown):
        colour = colours[c.model]
        if math.isfinite(c.spread.low):
            axes.plot(
                [c.spread.low, c.spread.high], [row, row], color=colour, lw=2.2, alpha=0.45, solid_capstyle="butt"
            )
        axes.plot(c.scores, [row] * len(c.scores), "o", ms=4, mfc="white", mec=colour, mew=1.1, zorder=3)
        axes.plot([c.spread.mean], [row], "D", ms=5.5, color=colour, zorder=4)
    axes.set_yticks(range(len(shown)), [short(c) for c in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    points = [s for c in shown for s in c.scores]
    margin = max(0.02, 0.15 * (max(points) - min(points)))
    # With two seeds the t interval is very wide; the runs, not the intervals, set the scale.
    axes.set_xlim(max(0.0, min(points) - 2 * margin), min(1.0, max(points) + 2 * margin))
    axes.set_xlabel(words.say("figure_score") + more(len(shown), len(ranking.finished), words))
    axes.grid(axis="y", visible=False)
    key(figure, axes, [("o", "white", words.say("figure_run")), ("D", INK, words.say("figure_mean"))])
    return figure


def training_figure(ranking: Decision, words: Catalogue) -> Figure | None:
    """Validation mAP and training loss by epoch, of the best configurations' runs."""
    trials = [t for c in ranking.finished for t in c.trials if len(t.history) > 1][:MOST_CURVES]
    if not trials:
        return None
    figure, (left, right) = new_figure(9, 3.4, 2)
    colours = colours_of(ranking)
    for axes, name in ((left, ranking.saved.sweep.objective), (right, "train/box_loss")):
        for t in trials:
            epochs, values = _curve(t, name)
            axes.plot(epochs, values, color=colours[t.model], lw=1.2, alpha=0.75)
        axes.set_xlabel(words.say("figure_epoch"))
        axes.xaxis.get_major_locator().set_params(integer=True)
    total = sum(len(c.trials) for c in ranking.finished)
    left.set_ylabel(words.say("figure_score") + more(len(trials), total, words))
    right.set_ylabel(words.say("figure_loss"))
    legend(right, {m: colours[m] for m in sorted({t.model for t in trials})})
    return figure


def _curve(trial: TrialRecord, name: str) -> tuple[list[float], list[float]]:
    pairs = [(row.get("epoch", i + 1.0), row.get(name, math.nan)) for i, row in enumerate(trial.history)]
    return [p[0] for p in pairs], [p[1] for p in pairs]
