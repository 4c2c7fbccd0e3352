"""The report's figures, drawn from saved records: what was found, its noise, and what accuracy costs."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.records import TrialRecord
from src.report.candidates import Candidate
from src.report.depth import ERRORS, in_depth
from src.report.rank import Ranking, cost
from src.report.text import Catalogue

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 20  # configurations or candidates in one figure
MOST_CURVES = 24
# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
INK, FAINT = "#333333", "#D9D9D9"
STYLE: Any = {
    "font.size": 9,
    "axes.edgecolor": "#888888",
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#EBEBEB",
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "figure.dpi": 100,
    "savefig.dpi": 150,
}


def draw_figures(ranking: Ranking, folder: Path, words: Catalogue) -> list[Path]:
    """Draw every figure that the records allow into `folder`; returns their paths."""
    import matplotlib as mpl

    makers: dict[str, Callable[[Ranking, Catalogue], Figure | None]] = {
        "configurations": configurations_figure,
        "training": training_figure,
        "tradeoff": tradeoff_figure,
        "latency": latency_figure,
        "errors": errors_figure,
        "thresholds": thresholds_figure,
    }
    drawn = []
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        for name, make in makers.items():
            path = folder / f"{name}.png"
            path.unlink(missing_ok=True)  # of an earlier report on other records
            figure = make(ranking, words)
            if figure is not None:
                figure.savefig(path, bbox_inches="tight", facecolor="white")
                drawn.append(path)
    return drawn


def _figure(width: float, height: float, columns: int = 1) -> tuple[Figure, Any]:
    """A figure without pyplot's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, columns)


def _colours(ranking: Ranking) -> dict[str, str]:
    """A colour per model, the same in every figure."""
    models = sorted({c.model for c in ranking.configurations})
    return {model: COLOURS[i % len(COLOURS)] for i, model in enumerate(models)}


def configurations_figure(ranking: Ranking, words: Catalogue) -> Figure | None:
    """mAP of every configuration: each run, the mean and its interval."""
    shown = ranking.finished[:MOST]
    if not shown:
        return None
    figure, axes = _figure(7.5, 1.0 + 0.32 * len(shown))
    colours = _colours(ranking)
    for row, c in enumerate(shown):
        colour = colours[c.model]
        if math.isfinite(c.spread.low):
            axes.plot(
                [c.spread.low, c.spread.high], [row, row], color=colour, lw=2.2, alpha=0.45, solid_capstyle="butt"
            )
        axes.plot(c.scores, [row] * len(c.scores), "o", ms=4, mfc="white", mec=colour, mew=1.1, zorder=3)
        axes.plot([c.spread.mean], [row], "D", ms=5.5, color=colour, zorder=4)
    axes.set_yticks(range(len(shown)), [c.label for c in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    points = [s for c in shown for s in c.scores]
    margin = max(0.02, 0.15 * (max(points) - min(points)))
    # With two seeds the t interval is very wide; the runs, not the intervals, set the scale.
    axes.set_xlim(max(0.0, min(points) - 2 * margin), min(1.0, max(points) + 2 * margin))
    axes.set_xlabel(words.say("figure_score") + _more(len(shown), len(ranking.finished), words))
    axes.grid(axis="y", visible=False)
    _key(axes, [("o", "white", words.say("figure_run")), ("D", INK, words.say("figure_mean"))])
    return figure


def training_figure(ranking: Ranking, words: Catalogue) -> Figure | None:
    """Validation mAP and training loss by epoch, of the best configurations' runs."""
    trials = [t for c in ranking.finished for t in c.trials if len(t.history) > 1][:MOST_CURVES]
    if not trials:
        return None
    figure, (left, right) = _figure(9, 3.4, 2)
    colours = _colours(ranking)
    for axes, name in ((left, ranking.saved.sweep.objective), (right, "train/box_loss")):
        for t in trials:
            epochs, values = _curve(t, name)
            axes.plot(epochs, values, color=colours[t.model], lw=1.2, alpha=0.75)
        axes.set_xlabel(words.say("figure_epoch"))
        axes.xaxis.get_major_locator().set_params(integer=True)
    total = sum(len(c.trials) for c in ranking.finished)
    left.set_ylabel(words.say("figure_score") + _more(len(trials), total, words))
    right.set_ylabel(words.say("figure_loss"))
    _legend(right, {m: colours[m] for m in sorted({t.model for t in trials})})
    return figure


def _curve(trial: TrialRecord, name: str) -> tuple[list[float], list[float]]:
    pairs = [(row.get("epoch", i + 1.0), row.get(name, math.nan)) for i, row in enumerate(trial.history)]
    return [p[0] for p in pairs], [p[1] for p in pairs]


def tradeoff_figure(ranking: Ranking, words: Catalogue) -> Figure | None:
    """Score against latency, with intervals and the Pareto front."""
    known = [c for c in ranking.candidates if c.measured and c.verified]
    if not known:
        return None
    figure, axes = _figure(8, 4.6)
    colours = _colours(ranking)
    kinds = sorted({f"{c.format}/{c.precision}" for c in known})
    markers = {kind: MARKERS[i % len(MARKERS)] for i, kind in enumerate(kinds)}
    for c in known:
        _point(axes, c, ranking, colours[c.configuration.model], markers[f"{c.format}/{c.precision}"])
    _front(axes, known, ranking, words)
    if ranking.winner in known and ranking.winner is not None:
        x, y = cost(ranking.winner, ranking.statistic), ranking.winner.score.mean
        axes.plot([x], [y], "o", ms=15, mfc="none", mec=INK, mew=1.4, label=words.say("figure_winner"), zorder=5)
    latencies = [cost(c, ranking.statistic) for c in known]
    if max(latencies) > 4 * min(latencies):
        _log_axis(axes)
    axes.set_xlabel(words.say("figure_latency", statistic=ranking.statistic, batch=ranking.decision.batch))
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


def _point(axes: Axes, c: Candidate, ranking: Ranking, colour: str, marker: str) -> None:
    x, y = cost(c, ranking.statistic), c.score.mean
    low, high = c.latency_interval.get(ranking.statistic, (x, x))
    axes.plot([low, high], [y, y], color=colour, lw=1, alpha=0.5)
    if math.isfinite(c.score.low) and c.score.n > 2:  # two seeds give an interval that would flatten the figure
        axes.plot([x, x], [c.score.low, c.score.high], color=colour, lw=1, alpha=0.35)
    fill = colour if c.key in ranking.feasible else "white"
    axes.plot([x], [y], marker, ms=6.5, mfc=fill, mec=colour, alpha=0.9, zorder=3)


def _front(axes: Axes, known: list[Candidate], ranking: Ranking, words: Catalogue) -> None:
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


def latency_figure(ranking: Ranking, words: Catalogue) -> Figure | None:
    """Median and tail latency of every candidate with intervals."""
    known = sorted((c for c in ranking.candidates if c.measured), key=lambda c: c.latency.get("p50", math.inf))
    if not known:
        return None
    shown = known[:MOST]
    figure, axes = _figure(8, 1.1 + 0.3 * len(shown))
    colours = _colours(ranking)
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
    axes.set_yticks(range(len(shown)), [c.label for c in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(left=0)
    label = words.say("figure_latency", statistic="p50" + (f", {tail}" if tail else ""), batch=ranking.decision.batch)
    axes.set_xlabel(label + _more(len(shown), len(known), words))
    axes.grid(axis="y", visible=False)
    _key(axes, [("o", INK, "p50"), *([("|", INK, tail)] if tail else [])])
    return figure


def errors_figure(ranking: Ranking, words: Catalogue) -> Figure | None:
    """Kinds of error of every artifact evaluated in depth, at its best threshold."""
    chosen = [(c, c.best.val_depth) for c in in_depth(ranking) if c.best.val_depth]
    if not chosen:
        return None
    figure, axes = _figure(8, 1.2 + 0.32 * len(chosen))
    left = [0] * len(chosen)
    for kind, colour in zip(ERRORS[1:], COLOURS, strict=False):
        counts = [depth.errors.get(kind, 0) for _, depth in chosen]
        axes.barh(range(len(chosen)), counts, left=left, height=0.65, color=colour, label=words.say(f"error_{kind}"))
        left = [a + b for a, b in zip(left, counts, strict=True)]
    axes.set_yticks(range(len(chosen)), [c.label for c, _ in chosen])
    axes.set_ylim(len(chosen) - 0.5, -0.5)
    axes.set_xlabel(words.say("figure_errors", n=chosen[0][1].n_images))
    axes.grid(axis="y", visible=False)
    axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), fontsize=8, ncols=6, columnspacing=1, handlelength=1)
    return figure


def thresholds_figure(ranking: Ranking, words: Catalogue) -> Figure | None:
    """F1 against the confidence threshold for the artifacts of the first configuration: quantising shifts scores."""
    chosen = in_depth(ranking)
    same = [c for c in chosen if c.configuration.config_id == chosen[0].configuration.config_id]
    drawn = [(c, c.best.val_depth) for c in same if c.best.val_depth and c.best.val_depth.curve]
    if not drawn:
        return None
    figure, axes = _figure(6.5, 3.6)
    for i, (c, depth) in enumerate(drawn):
        colour = COLOURS[i % len(COLOURS)]
        label = f"{c.format}/{c.precision} · {c.runtime}"
        # Equal artifacts give equal curves: thinner ones lie on top of wider ones.
        width = 4.5 - 3.3 * i / max(1, len(drawn) - 1)
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
    axes.legend(loc="best", fontsize=8, title=drawn[0][0].configuration.label, title_fontsize=8)
    return figure


def _more(shown: int, total: int, words: Catalogue) -> str:
    return f" ({words.say('figure_more', shown=shown, total=total)})" if total > shown else ""


def _key(axes: Axes, entries: list[tuple[str, str, str]]) -> None:
    for marker, fill, label in entries:
        axes.plot([], [], marker, mfc=fill, mec=INK, mew=1.2, ls="none", ms=6, label=label)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=8, ncols=len(entries))


def _legend(axes: Axes, colours: dict[str, str]) -> None:
    for name, colour in colours.items():
        axes.plot([], [], "-", lw=4, color=colour, label=name)
    axes.legend(loc="upper right", fontsize=8)
