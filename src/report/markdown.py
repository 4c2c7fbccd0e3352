"""Text that Markdown and HTML show as it is: names, paths and error messages come from outside."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Brackets matter only where they can make a link, underscores only at the edge of a word.
_SPECIAL = re.compile(r"[\\`*|]|~(?=~)|\](?=[(\[:])|!(?=\[)|(?<![^\W_])_|_(?![^\W_])")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class Raw(str):
    """Markdown that is already safe."""

    __slots__ = ()


def escape(value: object) -> Raw:
    """`value` as Markdown that renders literally, on one line."""
    if isinstance(value, Raw):
        return value
    text = " ".join(str(value).split())
    text = "".join(_HTML.get(char, char) for char in text)
    return Raw(_SPECIAL.sub(lambda m: "\\" + m.group(0), text))


def code(value: object) -> Raw:
    """`value` as a code span that also survives in a table cell."""
    text = " ".join(str(value).split()).replace("`", "'").replace("|", "¦")
    return Raw(f"`{text}`") if text else Raw("—")


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Raw:
    """A GitHub table; cells are escaped unless they are `Raw`."""
    lines: list[Sequence[object]] = [columns, [Raw("---")] * len(columns), *rows]
    return Raw("\n".join("| " + " | ".join(escape(c) for c in line) + " |" for line in lines))
