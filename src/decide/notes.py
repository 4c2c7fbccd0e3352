"""A statement found in the evidence, apart from the words that say it.

The decision is made of statements; the report turns each into a sentence of one language (`src.report.text`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Note:
    """A statement: its key in the catalogue and the values it speaks of."""

    key: str
    values: dict[str, Any] = field(default_factory=dict)


def note(key: str, /, **values: Any) -> Note:
    """A `Note` from keywords."""
    return Note(key, values)
