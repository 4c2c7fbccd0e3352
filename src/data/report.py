"""What the check writes beside the prepared dataset: `check.md` for people; pictures follow."""

from __future__ import annotations

from pathlib import Path


def write_pictures(base: Path) -> list[str]:
    """Paths of the report's files; made on first use."""
    return [str(path) for path in sorted(base.glob("check*.*"))]
