"""The whole set and the quick selection from it."""

from __future__ import annotations

from tests.hostile import datasets, devices, models, saved, served, watched, words
from tests.hostile.case import Case


def all_cases() -> list[Case]:
    """Every case, in order of kinds."""
    rooms = (words, datasets, models, saved, devices, watched, served)
    return [case for room in rooms for case in room.cases()]


def quick_cases() -> list[Case]:
    """A selection without torch that takes a few seconds."""
    light: dict[str, list[Case]] = {}
    for case in all_cases():
        if not case.heavy:
            light.setdefault(case.kind, []).append(case)
    return [case for cases in light.values() for case in cases[::80]]
