"""The whole set and the quick selection from it."""

from __future__ import annotations

from tests.hostile import datasets, models, saved, words
from tests.hostile.case import Case


def all_cases() -> list[Case]:
    """Every case, in order of kinds."""
    return [*words.cases(), *datasets.cases(), *models.cases(), *saved.cases()]


def quick_cases() -> list[Case]:
    """A selection without torch that takes a few seconds."""
    light = [c for c in all_cases() if not c.heavy]
    return light[::60]
