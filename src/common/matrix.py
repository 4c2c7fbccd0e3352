"""A square table of many classes cut down to those that matter."""

from __future__ import annotations

from collections.abc import Sequence


def condensed(matrix: Sequence[Sequence[int]], most: int) -> tuple[list[int], bool, list[list[int]]]:
    """The classes with most mistakes, with all others added up, so that no object is lost.

    Args:
        matrix: [n + 1, n + 1] objects by true class (rows, then background) and called class (columns, then missed).
        most: classes to show.

    Returns:
        The classes shown, in their order; whether there are others; the cells of these classes, the others if any,
        and background (rows) or missed (columns).
    """
    last = len(matrix) - 1
    wrong = [sum(matrix[c]) + sum(row[c] for row in matrix) - 2 * matrix[c][c] for c in range(last)]
    shown = sorted(sorted(range(last), key=lambda c: -wrong[c])[:most])
    rest = [c for c in range(last) if c not in shown]
    groups = [*([c] for c in shown), *([rest] if rest else []), [last]]
    cells = [[sum(matrix[a][b] for a in rows for b in columns) for columns in groups] for rows in groups]
    return shown, bool(rest), cells
