"""How the open questions closed: the bounds of each against the trainings, with the margin."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from src.decide.choice import Decision
from src.report.figures.style import COLOURS, INK, MARKERS, above, new_figure
from src.report.looks import Asked, Looks, seen
from src.report.text import Catalogue

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_DRAWN = 4
FEWEST = 2  # looks; one shows no course


def closing_figure(decision: Decision, words: Catalogue) -> Figure | None:
    """Difference and bounds of the questions at every look; those that were asked most often."""
    found: dict[str, list[tuple[int, Asked]]] = {}
    for look in seen(decision):
        for q in look.questions:
            found.setdefault(q.candidate, []).append((look.trainings, q))
    drawn = sorted(found.items(), key=lambda item: -len(item[1]))[:MOST_DRAWN]
    if not drawn or len(drawn[0][1]) < FEWEST:
        return None
    figure, axes = new_figure(6.5, 3.4)
    part, margin = Looks(decision, words), decision.settings.margin
    for (label, points), colour, marker in zip(drawn, COLOURS, MARKERS, strict=False):
        x = [n for n, _ in points]
        low, high = [q.gap.low for _, q in points], [q.gap.high for _, q in points]
        axes.fill_between(x, _drawable(low), _drawable(high), color=colour, alpha=0.15, lw=0)
        for bound in (low, high):
            axes.plot(x, _drawable(bound), "-", color=colour, lw=0.8)
        deltas = [q.gap.delta for _, q in points]
        axes.plot(x, deltas, marker=marker, color=colour, lw=1.4, ms=4, label=part.name(label))
    axes.axhline(margin, color=INK, lw=1.2, ls="--", label=words.say("figure_margin_line"))
    axes.set_ylim(*_window([q for _, points in drawn for _, q in points[-FEWEST:]], margin))
    axes.set_xlabel(words.say("figure_trainings"))
    axes.set_ylabel(words.say("figure_deficit"))
    axes.xaxis.get_major_locator().set_params(integer=True)
    above(figure, ncols=1)
    return figure


def _drawable(values: list[float]) -> list[float]:
    return [v if math.isfinite(v) else math.nan for v in values]


def _window(questions: list[Asked], margin: float) -> tuple[float, float]:
    """The axis that the last bounds need: those of early looks are so wide that they would flatten the rest."""
    known = [v for q in questions for v in (q.gap.low, q.gap.delta, q.gap.high) if math.isfinite(v)]
    low, high = min([0.0, *known]), max([2 * margin, *known])
    pad = 0.1 * (high - low)
    return low - pad, high + pad
