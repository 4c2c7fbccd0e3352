"""Noise of static INT8 by layer: of the layer alone, and in the INT8 network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from src.decide.choice import Decision
from src.report.figures.style import COLOURS, above, new_figure
from src.report.layers import measured
from src.report.text import Catalogue

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_DRAWN = 20


def layers_figure(decision: Decision, words: Catalogue) -> Figure | None:
    """The worst layers from top to bottom, with both ratios in dB."""
    found = measured(decision)
    if found is None:
        return None
    worst = found[1][:MOST_DRAWN]
    figure, axes = new_figure(6.5, 1.2 + 0.22 * len(worst))
    places = range(len(worst))
    for values, name, colour, marker in (
        ([loss.alone_db for loss in worst], "figure_alone_db", COLOURS[0], "o"),
        ([loss.here_db for loss in worst], "figure_here_db", COLOURS[1], "s"),
    ):
        axes.plot(values, places, marker, color=colour, ms=5, label=words.say(name))
    axes.set_yticks(list(places), [loss.layer[-44:] for loss in worst], fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel(words.say("figure_decibels"))
    axes.grid(axis="y", lw=0.4)
    above(figure, ncols=2)
    return figure
