"""Tables of figures on the terminal."""

from __future__ import annotations

from rich import box
from rich.table import Table


def table_of(title: str, *columns: str) -> Table:
    """A table without rows: the first column is for words, the others are for figures."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    return table
