"""Write the whole report of a sweep: documents, tables and figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.common.json_values import plain
from src.common.whole_files import write_text
from src.decide.choice import Decision
from src.decide.settings import load_decision
from src.report.decision import decision_json
from src.report.devices_json import devices_json
from src.report.document import Judged, appendix, contents, judge
from src.report.figures import MAKERS, draw_figures
from src.report.html import render_html
from src.report.render import render_markdown
from src.report.tables import BENCHMARK_COLUMNS, TRIAL_COLUMNS, benchmark_rows, to_csv, trial_rows
from src.report.text import catalogue

FIGURES = tuple(MAKERS)
DOCUMENTS = ("decision", "appendix")  # each as Markdown and as one page of HTML


@dataclass(frozen=True)
class Options:
    """How a report is written; kept in decision.json so that a check can write it again."""

    language: str = "en"
    again: Mapping[str, Any] = field(default_factory=dict)  # keys of the decision that were given for this report


def write_report(sweep_dir: Path, reports_dir: Path, options: Options | None = None) -> Path:
    """Write `reports_dir/<sweep>/` from the saved records in `sweep_dir`.

    Returns:
        The path of decision.md.

    Raises:
        UserError: malformed records, or a limit that can't be judged.
    """
    options = options or Options()
    return write_decision(load_decision(sweep_dir, options.again), reports_dir, options)


def write_decision(decision: Decision, reports_dir: Path, options: Options) -> Path:
    """Write the report of a decision; returns the path of decision.md."""
    folder = reports_dir / decision.saved.sweep.sweep
    figures = draw_figures(decision, folder / "figures", catalogue(options.language))
    written = texts(decision, options, [p.relative_to(folder) for p in figures])
    for name, text in written.items():
        write_text(folder / name, text)
    for name in DOCUMENTS:
        page = render_html(written[f"{name}.md"], folder, options.language)
        write_text(folder / f"{name}.html", page)
    return folder / "decision.md"


def texts(decision: Decision, options: Options, figures: list[Path]) -> dict[str, str]:
    """Every text file of the report by name; a pure function of the records."""
    judged, words = judge(decision), catalogue(options.language)
    bench = benchmark_rows(decision.saved, decision.settings)
    return {
        "decision.md": render_markdown("decision.md", contents(judged, words), figures),
        "appendix.md": render_markdown("appendix.md", appendix(judged, words), figures),
        "decision.json": _json(
            {
                **decision_json(decision, judged.verdict, judged.risks, judged.steps),
                **devices_json(decision),
                "sensitivity": _cases(judged),
                "language": options.language,
                "decided_with": dict(options.again),
            }
        ),
        "trials.csv": to_csv(trial_rows(decision.saved), TRIAL_COLUMNS),
        "benchmark.csv": to_csv(bench, BENCHMARK_COLUMNS),
        "benchmark.json": _json({"schema_version": 1, "rows": plain(bench)}),
    }


def _cases(judged: Judged) -> list[dict[str, Any]]:
    say = catalogue("en").say
    return [
        {"case": say(o.scenario), "changed": o.changed, "winner": o.recommended.label if o.recommended else None}
        for o in judged.outcomes
    ]


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
