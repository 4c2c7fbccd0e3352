"""Several sweeps side by side. What was measured on different machines or data is shown apart and said to be so."""

from __future__ import annotations

import math
from pathlib import Path

from src.common.errors import UserError
from src.common.whole_files import write_text
from src.decide.candidates import Candidate
from src.decide.choice import Decision
from src.decide.settings import load_decision
from src.decide.speed import cost
from src.decide.verdict import verdict
from src.report.markdown import Raw, code, escape, table
from src.report.text import Catalogue, catalogue

MOST = 5  # candidates of each sweep


def compare(folders: list[Path], reports_dir: Path, language: str = "en") -> Path:
    """Write `reports_dir/compare-A-B/comparison.md`; returns its path.

    Raises:
        UserError: fewer than two sweeps, or malformed records.
    """
    if len(folders) < 2 or len({f.name for f in folders}) != len(folders):
        raise UserError("compare needs at least two different sweeps", remedy="compare=A,B")
    decisions = [load_decision(folder) for folder in folders]
    path = reports_dir / ("compare-" + "-".join(f.name for f in folders))[:200] / "comparison.md"
    write_text(path, comparison(decisions, catalogue(language)))
    return path


def comparison(decisions: list[Decision], words: Catalogue) -> str:
    """The comparison as Markdown."""
    names = ", ".join(r.saved.sweep.sweep for r in decisions)
    parts = [f"# {escape(words.say('compare_title', names=names))}", *warnings(decisions, words)]
    parts += [f"## {escape(words.say('compare_verdicts'))}", _verdicts(decisions, words)]
    parts += [f"## {escape(words.say('compare_candidates'))}", _candidates(decisions, words)]
    return "\n\n".join(parts) + "\n"


def machines(decision: Decision) -> set[str]:
    """Fingerprints of the machines that a sweep's latencies were measured on."""
    return {f.environment.host for f in decision.saved.finalists.values() if f.environment and f.measurements}


def datasets(decision: Decision) -> set[str]:
    """Fingerprints of a sweep's datasets."""
    return {t.dataset.fingerprint for t in decision.saved.trials if t.dataset}


def warnings(decisions: list[Decision], words: Catalogue) -> list[str]:
    """What must not be compared, and why."""
    found = []
    if len(set().union(*(machines(r) for r in decisions))) > 1:
        found.append("compare_machines")
    if len(set().union(*(datasets(r) for r in decisions))) > 1:
        found.append("compare_data")
    if len({r.saved.sweep.objective for r in decisions}) > 1:
        found.append("compare_objectives")
    return [f"> **{escape(words.say(key))}**" for key in found]


def _verdicts(decisions: list[Decision], words: Catalogue) -> Raw:
    rows = []
    for r in decisions:
        judged = verdict(r)
        chosen = r.recommended.label if r.recommended else "—"
        data = next((t.dataset for t in r.saved.trials if t.dataset), None)
        host = ", ".join(sorted(h[:16] for h in machines(r)))
        rows.append(
            [
                r.saved.sweep.sweep,
                words.say(f"verdict_{judged.word}"),
                chosen,
                f"{data.name} {data.fingerprint[:12]}" if data else "—",
                code(host),
            ]
        )
    return table([words.say(f"col_{c}") for c in ("sweep", "verdict", "model", "dataset", "machine")], rows)


def _candidates(decisions: list[Decision], words: Catalogue) -> Raw:
    """The first candidates of each sweep; latencies carry their machine when there are several."""
    several = len(set().union(*(machines(r) for r in decisions))) > 1
    rows = [_row(c, r, words, several) for r in decisions for c in r.candidates[:MOST]]
    names = ("sweep", "candidate", "mean", "test", "latency", "size", "runs")
    return table([words.say(f"col_{c}", statistic="") for c in names], rows)


def _row(c: Candidate, r: Decision, words: Catalogue, several: bool) -> list[object]:
    latency = f"{words.number(cost(c, r.statistic), 2)} ({r.statistic})" if c.measured else "—"
    host = c.best.trial.environment.host
    finalist = r.saved.finalists.get(c.best.trial.trial)
    if finalist and finalist.environment:
        host = finalist.environment.host
    low, high = c.interval
    interval = f" [{words.number(low)}; {words.number(high)}]" if math.isfinite(low) else ""
    return [
        r.saved.sweep.sweep,
        c.label,
        words.number(c.score.mean) + interval,
        words.number(c.test_map),
        f"{latency} @ {host[:8]}" if several and c.measured else latency,
        words.number(c.size_mb, 2),
        f"T{c.best.trial.trial} {c.best.trial.run_id[:8]}".strip(),
    ]
