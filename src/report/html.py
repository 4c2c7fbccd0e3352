"""The document as one self-contained HTML page: the same Markdown, its figures embedded, nothing fetched."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from markdown_it import MarkdownIt

STYLE = """
html { color-scheme: light; background: #fff; }
body { font: 15px/1.55 system-ui, sans-serif; color: #222; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.25; } h2 { border-bottom: 1px solid #ddd; padding-bottom: .2rem; margin-top: 2.2rem; }
table { border-collapse: collapse; margin: 1rem 0; font-size: .87rem; display: block; overflow-x: auto; }
th, td { border: 1px solid #ddd; padding: .3rem .55rem; text-align: left; vertical-align: top; }
th { background: #f5f5f5; } tr:nth-child(even) td { background: #fafafa; }
code { background: #f2f2f2; padding: .1em .3em; border-radius: 3px; overflow-wrap: anywhere; }
blockquote { margin: 1rem 0; padding: .4rem 1rem; border-left: 4px solid #0072b2; background: #f3f8fb; }
img { max-width: 100%; }
"""
_IMAGE = re.compile(r'src="(figures/[\w-]+\.png)"')
_LINK = re.compile(r'href="(decision|appendix)\.md"')


def render_html(markdown: str, folder: Path, language: str) -> str:
    """The page of a document whose figures lie below `folder`. Raw HTML in the Markdown is shown, not run."""
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    body = _LINK.sub(r'href="\1.html"', body)  # the two pages link to each other
    title = re.sub(r"[<>&]", "", markdown.split("\n", 1)[0].lstrip("# "))

    def embed(found: re.Match[str]) -> str:
        data = base64.b64encode((folder / found.group(1)).read_bytes()).decode("ascii")
        return f'src="data:image/png;base64,{data}"'

    return (
        f'<!doctype html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{_IMAGE.sub(embed, body)}</body>\n</html>\n"
    )
