"""The end of a sweep in the terminal: the verdict, the three rows that matter, what is open. It fits 80 columns."""

from __future__ import annotations

import math

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from src.cli.tables import table_of
from src.decide.choice import Comparison, Decision
from src.decide.configurations import Configuration
from src.decide.machines import device_name
from src.decide.notes import note
from src.decide.open_questions import OpenQuestion, open_questions
from src.decide.speed import cost
from src.decide.verdict import verdict
from src.report.decision import skipped
from src.report.devices import Devices
from src.report.headline import Gap, Row, headline, held_against_another, same_weights
from src.report.names import short
from src.report.page_one import PageOne, settling_command
from src.report.recovery import Recovery, recoveries
from src.report.recovery import verdict as recovery_verdict
from src.report.section import interval_of
from src.report.text import catalogue

MOST_ROWS = 8
FAILED = {"error": "failed", "unavailable": "skipped"}
VERDICT_STYLE = {"approve": "bold green", "conditional": "bold yellow", "reject": "bold red"}


def number(value: float, digits: int = 3) -> str:
    """A number, or a dash where there is none."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "—"


def bounded(gap: Gap | None) -> str:
    """A difference over its bounds, on two lines."""
    if gap is None:
        return "—"
    bounds = f"{gap.low:.3f} … {gap.high:.3f}" if math.isfinite(gap.high) else "not established"
    return f"{gap.delta:.3f}\n{bounds}"


def _below(found: Comparison, part: PageOne) -> str:
    """How far below the best on val, in the words of the document."""
    if same_weights(found) or (held_against_another(found, part.decision) and found.deficit.status != "worse"):
        return str(part.below(found))
    return bounded(Gap.of(found))


def headline_table(decision: Decision) -> Table:
    """The best, the recommended, and the cheapest that was refused."""
    table = table_of("Which model ships", "candidate", "below best, val", "test", f"{decision.statistic} ms", "MB")
    table.padding = (0, 1, 0, 0)
    for row in headline(decision):
        table.add_row(*_headline_row(row, decision), style="bold" if row.role in ("recommended", "both") else None)
    return table


def _headline_row(row: Row, decision: Decision) -> list[str]:
    c, part = row.candidate, PageOne(decision, catalogue("en"))
    role = catalogue("en").say(part.role(row), limits=part.refusal(c))
    file = f"{c.format}/{c.precision} · {c.runtime}"
    val = "—" if row.comparison is None else _below(row.comparison, part)
    latency, speed = number(cost(c, decision.statistic), 2), row.speed
    ratio = f"\n× {speed.ratio:.2f}" if speed else ""
    return [f"{role}\n{escape(short(c.configuration))}\n{escape(file)}", val, bounded(row.test), latency + ratio,
            number(c.size_mb, 1)]  # fmt: skip


def configurations_table(decision: Decision) -> Table:
    """Configurations by their mean over seeds."""
    title = f"Configurations by {decision.saved.sweep.objective}"
    table = table_of(title, "configuration", "seeds", "mean", "95 % interval", "lost")
    for c in decision.configurations[:MOST_ROWS]:
        table.add_row(*_configuration_row(c, decision))
    if len(decision.configurations) > MOST_ROWS:
        table.caption = f"the first {MOST_ROWS} of {len(decision.configurations)}"
    return table


def _configuration_row(c: Configuration, decision: Decision) -> list[str]:
    low, high = interval_of(c, decision)
    interval = f"{number(low)} … {number(high)}" if math.isfinite(low) else "not established"
    lost = str(len(c.lost)) if c.lost else ""
    return [escape(short(c)), str(len(c.trials)), number(c.spread.mean), interval if c.trials else "—", lost]


def recovery_table(found: list[Recovery]) -> Table:
    """What quantisation-aware training gave back, and the sentence that says whether it paid."""
    key, values = recovery_verdict(found)
    columns = ("candidate", "split", "before", "INT8", "trained", "recovered")
    table = table_of("INT8 by quantisation-aware training", *columns)
    table.caption = catalogue("en").say(key, **values)
    for r in found[:MOST_ROWS]:
        figures = (r.before, r.post_training, r.aware, r.recovered)
        table.add_row(f"{r.target} · {r.runtime}", r.split, *(number(v, 4) for v in figures))
    return table


def open_lines(decision: Decision) -> list[RenderableType]:
    """What is open, and the command that settles it."""
    questions, part = open_questions(decision), PageOne(decision, catalogue("en"))
    lines: list[RenderableType] = [Text(f"open: {_told(q, part)}", style="cyan") for q in questions[:MOST_ROWS]]
    command = settling_command(decision, questions)
    return [*lines, Text(f"settle it: {command}", style="cyan")] if command else lines


def failed_lines(decision: Decision) -> list[RenderableType]:
    """Files that were asked for and are not there, or could not be run, with the reason: else they are just missing."""
    found = [s for s in skipped(decision) if s["kind"] != "refused" and s["stage"] != "train"]
    lines: list[RenderableType] = [
        Text(
            f"{FAILED[s['kind']]}: {s['stage']} of {s['target']}, {s['where']}: {_one_line(s['reason'])}",
            style="yellow",
        )
        for s in found[:MOST_ROWS]
    ]
    return [*lines, f"and {len(found) - MOST_ROWS} more: see the report"] if len(found) > MOST_ROWS else lines


def _one_line(reason: str) -> str:
    """A reason whose value and remedy stand on lines of their own."""
    return "; ".join(" ".join(line.split()) for line in reason.splitlines() if line.strip())


def device_lines(decision: Decision) -> list[str]:
    """Whose measurements decide, where not the sweep's machine's; one model for all devices, and the best for each."""
    say, device, across = catalogue("en").say, device_name(decision.settings), decision.across
    lines = [f"{say('fact_decided_on')}: {device}"] if device is not None else []
    if across is None:
        return lines
    lines.append(str(Devices(decision, catalogue("en")).for_all()))
    alone = [(d.name, d.choice.recommended) for d in across.devices if d.measured]
    return lines + [say("best_there" if c else "none_there", device=n, label=short(c) if c else "") for n, c in alone]


def _told(q: OpenQuestion, part: PageOne) -> str:
    return f"{short(q.candidate)}, {part.below(q.comparison)} below the best. {part.words.say(part.settled(q))}"


def summary(decision: Decision) -> Group:
    """The verdict, its reasons and conditions, the tables, and what is open."""
    judged, say = verdict(decision), catalogue("en").say
    word = Text(judged.word.upper(), style=VERDICT_STYLE[judged.word])
    lines: list[RenderableType] = [Text.assemble(word, "  ", say(judged.reasons[0]))]
    lines += [Text(f"  {say(n)}") for n in judged.reasons[1:]]
    lines += [Text(f"  condition: {say(n)}", style="yellow") for n in judged.conditions]
    lines += [Text(line, style="cyan") for line in device_lines(decision)]
    tables: list[RenderableType] = [configurations_table(decision)]
    if found := recoveries(decision.saved):
        tables.append(recovery_table(found))
    tables += failed_lines(decision)
    rejected = judged.word == "reject"
    if headline(decision) and not rejected:
        tables.append(headline_table(decision))
        settings = decision.settings
        values = {"margin": settings.margin, "percent": 100 * settings.confidence}
        tables.append(Text(say(note("rule", **values)), style="dim"))
    return Group(*tables, *([] if rejected else open_lines(decision)), *lines)


def print_summary(decision: Decision, console: Console | None = None) -> None:
    """Print the end of a sweep."""
    (console or Console()).print(summary(decision))
