"""What was trained: the score of every configuration, and the curves of its runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from src.common.history import total_loss
from src.decide.choice import Decision
from src.decide.configurations import Configuration
from src.records.schema import TrialRecord
from src.report.figures.style import (
    INK,
    MOST,
    MOST_CURVES,
    colours_of,
    key,
    legend,
    margin_band,
    more,
    new_figure,
    width_for,
)
from src.report.names import short
from src.report.section import interval_of
from src.report.text import Catalogue

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def configurations_figure(decision: Decision, words: Catalogue) -> Figure | None:
    """mAP of every configuration: each run, the mean and its interval, and the margin below the best."""
    shown = decision.finished[:MOST]
    if not shown:
        return None
    labels = [_marked(c, decision, words) for c in shown]
    figure, axes = new_figure(width_for(labels), 1.25 + 0.34 * len(shown))
    colours = colours_of(decision)
    ends = [s for c in shown for s in c.scores]
    for row, c in enumerate(shown):
        colour = colours[c.model]
        low, high = interval_of(c, decision)
        if math.isfinite(low):
            axes.plot([low, high], [row, row], color=colour, lw=2.2, alpha=0.45, solid_capstyle="butt")
            ends += [low, high]
        axes.plot(c.scores, [row] * len(c.scores), "o", ms=4, mfc="white", mec=colour, mew=1.1, zorder=3)
        axes.plot([c.spread.mean], [row], "D", ms=5.5, color=colour, zorder=4)
    if decision.best is not None:
        margin_band(axes, decision.best.configuration.spread.mean, decision.settings.margin, words, upright=True)
    axes.set_yticks(range(len(shown)), labels)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    room = max(0.01, 0.06 * (max(ends) - min(ends)))
    axes.set_xlim(max(0.0, min(ends) - room), min(1.0, max(ends) + room))
    axes.set_xlabel(words.say("figure_score") + more(len(shown), len(decision.finished), words))
    axes.grid(axis="y", visible=False)
    key(figure, axes, [("o", "white", words.say("figure_run")), ("D", INK, words.say("figure_mean"))])
    return figure


def _marked(c: Configuration, decision: Decision, words: Catalogue) -> str:
    """The configuration's name, with what it is."""
    roles = {"figure_best": decision.best, "figure_winner": decision.recommended}
    told = [words.say(key) for key, who in roles.items() if who is not None and who.configuration is c]
    return short(c) + (f"\n({', '.join(told)})" if told else "")


def training_figure(decision: Decision, words: Catalogue) -> Figure | None:
    """Validation mAP and training loss by epoch, of the best configurations' runs."""
    trials = [t for c in decision.finished for t in c.trials if len(t.history) > 1][:MOST_CURVES]
    if not trials:
        return None
    figure, (left, right) = new_figure(9, 3.4, 2)
    colours = colours_of(decision)
    objective = decision.saved.sweep.objective
    for axes, value in ((left, lambda row: row.get(objective, math.nan)), (right, total_loss)):
        for t in trials:
            epochs, values = _curve(t, value)
            axes.plot(epochs, values, color=colours[t.model], lw=1.2, alpha=0.75)
        axes.set_xlabel(words.say("figure_epoch"))
        axes.xaxis.get_major_locator().set_params(integer=True)
    total = sum(len(c.trials) for c in decision.finished)
    left.set_ylabel(words.say("figure_score") + more(len(trials), total, words))
    right.set_ylabel(words.say("figure_loss"))
    legend(right, {m: colours[m] for m in sorted({t.model for t in trials})})
    return figure


def _curve(trial: TrialRecord, value: Callable[[dict[str, float]], float]) -> tuple[list[float], list[float]]:
    pairs = [(row.get("epoch", i + 1.0), value(row)) for i, row in enumerate(trial.history)]
    return [p[0] for p in pairs], [p[1] for p in pairs]
