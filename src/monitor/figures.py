"""Figures of the page: the course of every number, its distribution, classes, and sources."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.common.figures import save_png
from src.monitor.drift import mean, values_of
from src.monitor.features import FEATURES, UNITS
from src.monitor.history import Course, sources_of
from src.report.figures.style import COLOURS, INK, STYLE, above

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NOW, REFERENCE, ALARM = COLOURS[0], "#9AA5B1", COLOURS[1]
COLUMNS = 4
MOST_CLASSES, MOST_SOURCES = 40, 6
LINE, MARK, HOLLOW = "-", "o", "white"


def draw_figures(course: Course, folder: Path) -> list[str]:
    """Draw into `folder` what the course allows; returns names of figures."""
    import matplotlib as mpl

    drawn = []
    makers: dict[str, Callable[[Course], Figure | None]] = {
        "course": course_figure,
        "distributions": distributions_figure,
        "classes": classes_figure,
        "sources": sources_figure,
    }
    with mpl.rc_context(STYLE):
        for name, make in makers.items():
            figure = make(course)
            if figure is not None:
                save_png(figure, folder / f"{name}.png")
                drawn.append(name)
    return drawn


def _panels(count: int, height: float = 1.75) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(10, 0.35 + height * rows), layout="constrained")
    axes = list(np.ravel(np.atleast_1d(figure.subplots(rows, columns))))
    for spare in axes[count:]:
        spare.set_visible(False)
    return figure, axes[:count]


def course_figure(course: Course) -> Figure | None:
    """Every number over time: mean and middle half of each window, on the middle nine tenths of val."""
    if not course.compared:
        return None
    figure, panels = _panels(len(FEATURES))
    times = [datetime.fromtimestamp((c.begin + c.end) / 2, UTC) for c in course.compared]
    for axes, name in zip(panels, FEATURES, strict=True):
        _course(axes, course, name, times)
    panels[0].plot([], [], LINE, color=NOW, marker=MARK, ms=3, label="mean of a window, and its middle half")
    panels[0].plot([], [], MARK, color=ALARM, ms=5, label="reported as drift")
    panels[0].fill_between([], [], [], color=REFERENCE, alpha=0.25, lw=0, label="val: mean and middle nine tenths")
    above(figure, ncols=3)
    return figure


def _course(axes: Axes, course: Course, name: str, times: Sequence[datetime]) -> None:
    reference = course.profile.of(name)
    if len(reference):
        axes.axhspan(*np.quantile(reference, (0.05, 0.95)), color=REFERENCE, alpha=0.25, lw=0)
        axes.axhline(mean(reference), color=REFERENCE, lw=1)
    seen = [values_of(w.observed, name) for w in course.windows]
    middles = np.array([mean(v) for v in seen])
    lows, highs = (np.array([np.quantile(v, q) if len(v) else np.nan for v in seen]) for q in (0.25, 0.75))
    x: Any = times
    axes.fill_between(x, lows, highs, color=NOW, alpha=0.18, lw=0)
    axes.plot(x, middles, LINE, color=NOW, lw=1.2, marker=MARK, ms=2.5)
    alarmed = [f.drifted for f in course.column(name)]
    at: Any = [t for t, a in zip(times, alarmed, strict=True) if a]
    axes.plot(at, middles[alarmed], MARK, color=ALARM, ms=5, zorder=4)
    axes.set_title(name.replace("_", " "), fontsize=9, loc="left")
    axes.set_ylabel(UNITS[name], fontsize=6)
    _few_ticks(axes.yaxis, name)
    _time_axis(axes, times)


def _few_ticks(axis: Any, name: str) -> None:
    """Few numbers at an axis, and short ones."""
    from matplotlib.ticker import EngFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    if name == "pixels":
        axis.set_major_formatter(EngFormatter(sep=""))


def _time_axis(axes: Axes, times: Sequence[Any]) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=2, maxticks=4)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.tick_params(labelsize=7)
    axes.xaxis.get_offset_text().set_fontsize(7)
    if len(times) == 1:
        axes.set_xticks(list(times))
    axes.set_xlabel("UTC", fontsize=6, loc="left", labelpad=1)


def distributions_figure(course: Course) -> Figure | None:
    """Val and the latest window: the share of images up to each value."""
    if not course.windows:
        return None
    latest = course.windows[-1].observed
    figure, panels = _panels(len(FEATURES))
    for axes, name, finding in zip(panels, FEATURES, course.compared[-1].findings, strict=False):
        for values, colour, width in ((course.profile.of(name), REFERENCE, 2.2), (values_of(latest, name), NOW, 1.3)):
            if len(values):
                own = np.sort(values)
                shares = np.arange(1, len(own) + 1) / len(own)
                axes.step(own, shares, where="post", color=colour, lw=width)
        axes.set_ylim(0, 1)
        title = f"{name.replace('_', ' ')}, D = {finding.size:.2f}"
        axes.set_title(title, fontsize=9, loc="left", color=ALARM if finding.drifted else INK)
        axes.set_xlabel(UNITS[name], fontsize=7)
        axes.tick_params(labelsize=7)
        _few_ticks(axes.xaxis, name)
    panels[0].plot([], [], color=REFERENCE, lw=2.2, label="val")
    panels[0].plot([], [], color=NOW, lw=1.3, label="latest window")
    panels[0].plot([], [], color=ALARM, lw=0, marker="s", label="drifted (title)")
    above(figure, ncols=3)
    return figure


def classes_figure(course: Course) -> Figure | None:
    """Share of images in which each class is detected: val and the latest window."""
    if not course.compared or not course.profile.class_names:
        return None
    found = [f for f in course.compared[-1].findings if f.what.startswith("class:")]
    chosen = sorted(found, key=lambda f: (not f.drifted, -f.reference))[:MOST_CLASSES]
    names = [course.profile.class_names[int(f.what[6:])] for f in chosen]
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.9 + 0.24 * len(chosen)), layout="constrained")
    axes = figure.subplots()
    rows = np.arange(len(chosen))
    for row, f in zip(rows, chosen, strict=True):
        colour = ALARM if f.drifted else NOW
        axes.plot([f.reference, f.window], [row, row], LINE, color=colour, lw=1.4, alpha=0.6)
        axes.plot([f.window], [row], MARK, color=colour, ms=6)
        axes.plot([f.reference], [row], MARK, mfc=HOLLOW, mec=INK, ms=6)
    axes.set_yticks(rows, names)
    axes.set_ylim(len(chosen) - 0.5, -0.5)
    axes.set_xlim(left=-0.02)
    axes.grid(axis="y", visible=False)
    hidden = len(found) - len(chosen)
    axes.set_xlabel("share of images with a detection of the class" + (f" ({hidden} more not shown)" if hidden else ""))
    for fill, edge, label in ((HOLLOW, INK, "val"), (NOW, NOW, "latest window"), (ALARM, ALARM, "drifted")):
        axes.plot([], [], MARK, mfc=fill, mec=edge, ms=6, label=label)
    above(figure, ncols=3)
    return figure


def sources_figure(course: Course) -> Figure | None:
    """The latest window by source: means and middle halves beside those of val; None where there is one source."""
    if not course.windows:
        return None
    latest = course.windows[-1].observed
    sources = sources_of(latest)[:MOST_SOURCES]
    if len(sources) < 2:
        return None
    figure, panels = _panels(len(FEATURES), 0.9 + 0.2 * (len(sources) + 1))
    labels = ["val", *(s or "(none)" for s in sources)]
    for place, (axes, name) in enumerate(zip(panels, FEATURES, strict=True)):
        groups = [course.profile.of(name), *(values_of([o for o in latest if o.source == s], name) for s in sources)]
        for row, values in enumerate(groups):
            if len(values):
                colour = REFERENCE if row == 0 else NOW
                ends = np.quantile(values, (0.25, 0.75))
                axes.plot(ends, [row, row], LINE, color=colour, lw=3, alpha=0.6, solid_capstyle="butt")
                axes.plot([mean(values)], [row], MARK, color=colour, ms=5)
        axes.set_yticks(range(len(labels)), labels if place % COLUMNS == 0 else [""] * len(labels))
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.set_title(name.replace("_", " "), fontsize=9, loc="left")
        axes.set_xlabel(UNITS[name], fontsize=7)
        axes.tick_params(labelsize=7)
        _few_ticks(axes.xaxis, name)
    return figure
