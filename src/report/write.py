"""Write the whole report of a sweep: documents, tables and figures."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.config import DecisionConfig
from src.errors import UserError
from src.records import write_text
from src.report.decision import decision_json
from src.report.document import contents
from src.report.figures import MAKERS, draw_figures
from src.report.html import render_html
from src.report.load import Saved, load_sweep
from src.report.rank import Ranking, rank
from src.report.render import render_markdown
from src.report.risks import next_steps, risks
from src.report.sensitivity import sensitivity
from src.report.tables import (
    BENCHMARK_COLUMNS,
    TRIAL_COLUMNS,
    benchmark_rows,
    plain_rows,
    to_csv,
    trial_rows,
)
from src.report.text import catalogue
from src.report.verdict import verdict

FIGURES = tuple(MAKERS)


@dataclass(frozen=True)
class Options:
    """How a report is written; kept in decision.json so that a check can write it again."""

    language: str = "en"


def decision_of(saved: Saved) -> DecisionConfig:
    """The decision group that the sweep was started with; keys that it did not know have their defaults.

    Raises:
        UserError: a value of the wrong type.
    """
    known = {f.name: f.type for f in dataclasses.fields(DecisionConfig)}
    given = {key: value for key, value in saved.sweep.decision.items() if key in known}
    for key, value in given.items():
        if value is not None and not isinstance(value, str) and "str" in str(known[key]):
            raise UserError(f"{saved.folder / 'sweep.json'}: decision.{key} must be text", value=value)
        if isinstance(value, str) and "str" not in str(known[key]):
            raise UserError(f"{saved.folder / 'sweep.json'}: decision.{key} must be a number", value=value)
    return DecisionConfig(**{"name": "recorded", **given})


def load_ranking(sweep_dir: Path) -> Ranking:
    """Read a sweep and rank it under its own decision group."""
    saved = load_sweep(sweep_dir)
    return rank(saved, decision_of(saved))


def write_report(sweep_dir: Path, reports_dir: Path, options: Options | None = None) -> Path:
    """Write `reports_dir/<sweep>/` from the saved records in `sweep_dir`.

    Returns:
        The path of decision.md.

    Raises:
        UserError: malformed records, or a limit that can't be judged.
    """
    return write_ranking(load_ranking(sweep_dir), reports_dir, options or Options())


def write_ranking(ranking: Ranking, reports_dir: Path, options: Options) -> Path:
    """Write the report of a ranked sweep; returns the path of decision.md."""
    folder = reports_dir / ranking.saved.sweep.sweep
    figures = draw_figures(ranking, folder / "figures", catalogue(options.language))
    written = texts(ranking, options, [p.relative_to(folder) for p in figures])
    for name, text in written.items():
        write_text(folder / name, text)
    write_text(folder / "decision.html", render_html(written["decision.md"], folder, options.language))
    return folder / "decision.md"


def texts(ranking: Ranking, options: Options, figures: list[Path]) -> dict[str, str]:
    """Every text file of the report by name; a pure function of the records."""
    judged = verdict(ranking)
    found = risks(ranking)
    steps = next_steps(ranking, judged, found)
    context = contents(ranking, judged, found, steps, catalogue(options.language))
    bench = benchmark_rows(ranking.saved)
    return {
        "decision.md": render_markdown(context, figures),
        "decision.json": _json(
            {
                **decision_json(ranking, judged, found, steps),
                "sensitivity": _cases(ranking),
                "language": options.language,
            }
        ),
        "trials.csv": to_csv(trial_rows(ranking.saved), TRIAL_COLUMNS),
        "benchmark.csv": to_csv(bench, BENCHMARK_COLUMNS),
        "benchmark.json": _json({"schema_version": 1, "rows": plain_rows(bench)}),
    }


def _cases(ranking: Ranking) -> list[dict[str, Any]]:
    say = catalogue("en").say
    return [
        {"case": say(o.scenario), "changed": o.changed, "winner": o.winner.label if o.winner else None}
        for o in sensitivity(ranking)
    ]


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
