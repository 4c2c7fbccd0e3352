"""Documents from their templates: a template orders the sections, the catalogue holds the words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from src.report.markdown import Raw, escape
from src.report.text import TEMPLATES

OTHER = {"decision.md": "appendix.md", "appendix.md": "decision.md"}


def render_markdown(name: str, context: dict[str, Any], figures: list[Path]) -> str:
    """Fill the template `name`; everything that is not marked as safe Markdown is escaped.

    Args:
        name: `decision.md` or `appendix.md`; each links to the other.
        context: of `document.contents` or `document.appendix`.
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
    other = OTHER[name]
    link = Raw(f"[{other}]({other})")
    return environment.get_template(f"{name}.j2").render(**context, figures=names, link=link)
