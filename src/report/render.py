"""`decision.md` from its template: the template orders the sections, the catalogue holds the words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from src.report.markdown import escape
from src.report.text import TEMPLATES


def render_markdown(context: dict[str, Any], figures: list[Path]) -> str:
    """Fill the template; everything that is not marked as safe Markdown is escaped.

    Args:
        context: of `document.contents`.
        figures: paths relative to the document.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # HTML escaping is not enough for Markdown: `finalize` does both
        finalize=escape,
    )
    names = {path.stem: path.as_posix() for path in figures}
    return environment.get_template("decision.md.j2").render(**context, figures=names)
