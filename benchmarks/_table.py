"""Lines of a table, aligned: what benchmarks print."""

from __future__ import annotations

from collections.abc import Sequence


def lines(rows: Sequence[Sequence[object]]) -> str:
    """Rows as text, the first column to the left, the others to the right; floats with three digits."""
    cells = [[f"{v:.3f}" if isinstance(v, float) else "" if v is None else str(v) for v in row] for row in rows]
    widths = [max(len(row[i]) for row in cells if i < len(row)) for i in range(max(map(len, cells)))]
    return "\n".join(
        "  ".join(v.ljust(w) if i == 0 else v.rjust(w) for i, (v, w) in enumerate(zip(row, widths, strict=False)))
        for row in cells
    )


def held(ok: bool) -> str:
    """Whether a limit holds, in a word."""
    return "holds" if ok else "MISSED"
