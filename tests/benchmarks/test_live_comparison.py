"""Verdicts of a live comparison keep their errors under continuous looking, on simulated models."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.live_comparison import MARGIN, WORLDS, Match, courses, draw, errors, f1_of, share


def f1(rows: np.ndarray) -> float:
    return float(2 * rows[:, 0].sum() / (2 * rows[:, 0] + rows[:, 1] + rows[:, 2]).sum())


@pytest.mark.parametrize("match", [Match(0.0), Match(-0.05), Match(0.05), Match(-0.05, rare=True)])
def test_the_simulated_models_differ_by_what_is_said(match: Match) -> None:
    champion, challenger = draw(match, np.random.default_rng(0), 200_000)
    assert f1(challenger) - f1(champion) == pytest.approx(match.difference, abs=0.002)
    assert max(f1(champion), f1(challenger)) == pytest.approx(f1_of(0.75), abs=0.002)


@pytest.mark.parametrize(("difference", "paired"), [(-0.3, True), (0.3, True), (-0.3, False), (0.3, False)])
def test_large_differences_are_found(difference: float, paired: bool) -> None:
    found = courses(Match(difference, paired), 8, 600, MARGIN)
    assert share((c.better if difference > 0 else c.worse) for c in found) == 1.0
    assert all(first is None or first >= 50 for c in found for first in (c.better, c.within, c.worse))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "match"), WORLDS)
def test_under_looks_every_ten_images_at_most_one_in_twenty_is_wrong(name: str, match: Match) -> None:
    wrong = errors(match, courses(match, 400, 2000, MARGIN, seed=2), MARGIN)
    assert wrong
    assert max(wrong.values()) <= 0.05
