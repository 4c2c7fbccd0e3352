"""Derive a written report again from the records, and name what differs."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

from src.common.errors import UserError
from src.common.whole_files import text_of
from src.decide.settings import Again, given_again, load_decision
from src.report.html import render_html
from src.report.write import DOCUMENTS, FIGURES, Options, texts


def check_report(sweep_dir: Path, reports_dir: Path) -> list[str]:
    """What differs between the report on disk and the one that the records give; nothing when it is sound.

    Raises:
        UserError: there is no report, or the records are malformed.
    """
    folder = reports_dir / sweep_dir.name
    if not (folder / "decision.json").is_file():
        raise UserError(f"{folder} holds no report", remedy=f"python -m src.report sweep={sweep_dir.name}")
    options = _options(folder / "decision.json")
    decision = load_decision(sweep_dir, options.again)
    figures = [Path("figures") / f"{name}.png" for name in FIGURES if (folder / "figures" / f"{name}.png").is_file()]
    wanted = texts(decision, options, figures)
    problems = [p for name, text in wanted.items() if (p := _difference(folder / name, text))]
    shown = "".join(text_of(folder / f"{name}.md") for name in DOCUMENTS)
    missing = [f for f in FIGURES if f"figures/{f}.png" in shown and not _has(folder, f)]
    problems += [f"figures/{name}.png: missing" for name in missing]
    for name in DOCUMENTS if not missing else ():
        page = render_html(wanted[f"{name}.md"], folder, options.language)
        problems += [p for p in [_difference(folder / f"{name}.html", page)] if p]
    return problems


def _has(folder: Path, figure: str) -> bool:
    return (folder / "figures" / f"{figure}.png").is_file()


def _options(path: Path) -> Options:
    """How the report was written; a document that does not say was written plainly, or it was altered."""
    try:
        told = json.loads(text_of(path))
        again = {k: v for k, v in told.get("decided_with", {}).items() if k in {f.name for f in fields(Again)}}
        given_again(Again(**again))
        return Options(str(told["language"]), again)
    except (ValueError, KeyError, TypeError, AttributeError, UserError):
        return Options()


def _difference(path: Path, wanted: str) -> str:
    """The first line that differs, or nothing."""
    if not path.is_file():
        return f"{path.name}: missing"
    found = text_of(path)
    if found == wanted:
        return ""
    pairs = zip((*found.splitlines(), ""), (*wanted.splitlines(), ""), strict=False)
    for number, (have, want) in enumerate(pairs, 1):
        if have != want:
            return f"{path.name}:{number}: says {_around(have, want)}, the records say {_around(want, have)}"
    return f"{path.name}: differs from the records in its length"


def _around(text: str, other: str) -> str:
    """The part of a long line where it first differs from another."""
    start = next((i for i, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), min(len(text), len(other)))
    return repr(text[max(0, start - 25) : start + 40])
