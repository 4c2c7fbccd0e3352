"""Which swept keys matter: the share of the variance between configurations that each one explains by itself.

The estimate is epsilon squared of a one-way analysis of variance (Kelley 1935): the variance between the key's values
as a share of all, less what chance alone would give. A configuration counts once, by its mean over seeds: replicates
share its values, and counting them apart would make chance look like effect. Keys that act only together show up in
none of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

LEAST_RUNS = 6  # configurations; below, every share is chance
MOST_GROUPS = 5  # values of a number beyond this are put into as many groups of equal size


def importance(rows: Sequence[Mapping[str, str]], scores: Sequence[float]) -> dict[str, float]:
    """Share of the variance of `scores` by key, in 0..1, the largest first; empty with too few rows.

    Args:
        rows: values of the swept keys, as typed, a row per configuration.
        scores: the mean objective of each.
    """
    if len(scores) < LEAST_RUNS or (total := _squares(scores)) <= 0:
        return {}
    shares = {}
    for key in sorted({key for row in rows for key in row}):
        groups = _groups([row.get(key, "") for row in rows], scores)
        if 1 < len(groups) < len(scores):
            within = math.fsum(_squares(g) for g in groups)
            noise = within / (len(scores) - len(groups))
            shares[key] = max(0.0, (total - within - (len(groups) - 1) * noise) / total)
    return dict(sorted(shares.items(), key=lambda pair: (-pair[1], pair[0])))


def as_number(text: str) -> float | None:
    """A finite number, or None for a word."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _groups(values: Sequence[str], scores: Sequence[float]) -> list[list[float]]:
    """Scores by value; a number with many values is cut into groups of equal size, in its order."""
    found: dict[object, list[float]] = {}
    numbers = [as_number(v) for v in values]
    if all(n is not None for n in numbers) and len(set(numbers)) > MOST_GROUPS:
        order = sorted(set(numbers), key=lambda n: n if n is not None else 0.0)
        place = {n: i * MOST_GROUPS // len(order) for i, n in enumerate(order)}
        keys: list[object] = [place[n] for n in numbers]
    else:
        keys = list(values)
    for key, score in zip(keys, scores, strict=True):
        found.setdefault(key, []).append(score)
    return list(found.values())


def _squares(values: Sequence[float]) -> float:
    """Sum of squared deviations from the mean."""
    mean = math.fsum(values) / len(values)
    return math.fsum((v - mean) ** 2 for v in values)
