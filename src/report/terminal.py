"""Tables for the end of a sweep, in the terminal."""

from __future__ import annotations

import math

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from src.decide.candidates import Candidate
from src.decide.choice import Decision
from src.decide.configurations import Configuration
from src.decide.limits import broken
from src.decide.verdict import verdict
from src.report.recovery import Recovery, recoveries
from src.report.recovery import verdict as recovery_verdict
from src.report.text import catalogue

MOST_ROWS = 15
VERDICT_STYLE = {"approve": "bold green", "conditional": "bold yellow", "reject": "bold red"}


def number(value: float, digits: int = 3) -> str:
    """A number, or a dash where there is none."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "—"


def configurations_table(ranking: Decision) -> Table:
    """Configurations by their mean over seeds."""
    table = Table(title=f"Configurations by {ranking.saved.sweep.objective}", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("configuration", "seeds", "mean", "sd", "95 % interval", "lost"):
        table.add_column(name, justify="left" if name == "configuration" else "right", no_wrap=name == "seeds")
    for c in ranking.configurations[:MOST_ROWS]:
        table.add_row(*_configuration_row(c))
    if len(ranking.configurations) > MOST_ROWS:
        table.caption = f"the first {MOST_ROWS} of {len(ranking.configurations)}"
    return table


def _configuration_row(c: Configuration) -> list[str]:
    interval = f"{number(c.spread.low)} … {number(c.spread.high)}" if math.isfinite(c.spread.low) else "—"
    return [
        escape(c.label),
        str(len(c.trials)),
        number(c.spread.mean),
        number(c.spread.sd, 4),
        interval,
        str(len(c.lost)) if c.lost else "",
    ]


def formats_table(ranking: Decision) -> Table:
    """Candidates: configuration x artifact x runtime."""
    statistic = ranking.statistic
    title = f"Formats and runtimes, batch {ranking.settings.batch}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("")
    table.add_column("candidate", no_wrap=True)
    for name in ("mAP val", "test", f"{statistic} ms", "img/s", "MB"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("limits")
    for c in ranking.candidates[:MOST_ROWS]:
        table.add_row(*_format_row(c, ranking), style="bold" if c is ranking.recommended else None)
    if len(ranking.candidates) > MOST_ROWS:
        table.caption = f"the first {MOST_ROWS} of {len(ranking.candidates)}"
    return table


def _format_row(c: Candidate, ranking: Decision) -> list[RenderableType]:
    lost = ", ".join(broken(c, ranking.settings))
    return [
        "→" if c is ranking.recommended else "",
        f"{escape(c.configuration.label)}\n  {c.format}/{c.precision} · {c.runtime}",
        number(c.val_map),
        number(c.test_map),
        number(c.latency.get(ranking.statistic, math.nan), 2),
        number(c.throughput_ips, 1),
        number(c.size_mb, 1),
        Text("kept", style="green") if not lost else Text(lost, style="red"),
    ]


def recovery_table(found: list[Recovery]) -> Table:
    """What quantisation-aware training gave back, and the sentence that says whether it paid."""
    key, values = recovery_verdict(found)
    table = Table(title="INT8 by quantisation-aware training", title_justify="left", box=box.SIMPLE_HEAD)
    table.caption = catalogue("en").say(key, **values)
    for name in ("candidate", "split", "before", "INT8", "trained", "lost", "recovered"):
        table.add_column(name, justify="left" if name in ("candidate", "split") else "right", no_wrap=True)
    for r in found[:MOST_ROWS]:
        figures = (r.before, r.post_training, r.aware, r.lost, r.recovered)
        table.add_row(f"{r.target} · {r.runtime}", r.split, *(number(v, 4) for v in figures))
    return table


def summary(ranking: Decision) -> Group:
    """Both tables and the verdict."""
    judged, say = verdict(ranking), catalogue("en").say
    word = Text(judged.word.upper(), style=VERDICT_STYLE[judged.word])
    lines = [Text.assemble(word, "  ", say(judged.reasons[0]))] + [Text(f"  {say(n)}") for n in judged.reasons[1:]]
    lines += [Text(f"  condition: {say(n)}", style="yellow") for n in judged.conditions]
    tables: list[RenderableType] = [configurations_table(ranking)]
    if ranking.candidates:
        tables.append(formats_table(ranking))
    if found := recoveries(ranking.saved):
        tables.append(recovery_table(found))
    return Group(*tables, *lines)


def print_summary(ranking: Decision, console: Console | None = None) -> None:
    """Print the end of a sweep."""
    (console or Console()).print(summary(ranking))
