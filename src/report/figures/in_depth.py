"""From the evaluations in depth: kinds of error, and F1 against the threshold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from src.decide.choice import Decision
from src.report.figures.style import COLOURS, INK, MARKERS, above, new_figure, width_for
from src.report.in_depth import ERRORS, in_depth, kinds_of
from src.report.names import short
from src.report.text import Catalogue

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def errors_figure(decision: Decision, words: Catalogue) -> Figure | None:
    """Kinds of error of every artifact evaluated in depth, at its best threshold."""
    chosen = [(c, c.best.val_depth) for c in in_depth(decision) if c.best.val_depth]
    if not chosen:
        return None
    figure, axes = new_figure(width_for([short(c) for c, _ in chosen]), 1.2 + 0.32 * len(chosen))
    left = [0] * len(chosen)
    for kind, colour in zip(ERRORS[1:], COLOURS, strict=False):
        counts = [depth.errors.get(kind, 0) for _, depth in chosen]
        axes.barh(range(len(chosen)), counts, left=left, height=0.65, color=colour, label=words.say(f"error_{kind}"))
        left = [a + b for a, b in zip(left, counts, strict=True)]
    axes.set_yticks(range(len(chosen)), [short(c) for c, _ in chosen])
    axes.set_ylim(len(chosen) - 0.5, -0.5)
    axes.set_xlabel(words.say("figure_errors", n=chosen[0][1].n_images))
    axes.grid(axis="y", visible=False)
    above(figure, ncols=6)
    return figure


def thresholds_figure(decision: Decision, words: Catalogue) -> Figure | None:
    """F1 against the confidence threshold for the artifacts of the first configuration: quantising shifts scores."""
    chosen = in_depth(decision)
    same = [c for c in chosen if c.configuration.config_id == chosen[0].configuration.config_id]
    drawn = [(c, c.best.val_depth) for c in same if c.best.val_depth and c.best.val_depth.curve]
    if not drawn:
        return None
    figure, axes = new_figure(6.5, 3.6)
    for i, (c, depth) in enumerate(drawn):
        colour = COLOURS[i % len(COLOURS)]
        label = kinds_of(c, decision)
        # Equal artifacts give equal curves: thinner ones lie on top of wider ones.
        width = 4.5 - 3.3 * i / (len(drawn) - 1) if len(drawn) > 1 else 1.8
        axes.plot([p[0] for p in depth.curve], [p[3] for p in depth.curve], color=colour, lw=width, label=label)
        best = depth.figures.get("threshold", math.nan)
        axes.plot(
            [best],
            [depth.figures.get("f1", math.nan)],
            MARKERS[i % len(MARKERS)],
            color=colour,
            mec=INK,
            ms=6,
            zorder=4,
        )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel(words.say("figure_threshold"))
    axes.set_ylabel(words.say("figure_f1"))
    axes.legend(loc="best", fontsize=8, title=short(drawn[0][0].configuration), title_fontsize=8)
    return figure
