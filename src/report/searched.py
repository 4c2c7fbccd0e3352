"""The course of the search as the figures and the document need it: finished runs, varied keys, pruned trials."""

from __future__ import annotations

import math

from src.decide.choice import Decision
from src.decide.configurations import value_of
from src.records.schema import TrialRecord

LEAST_RUNS = 6  # finished, for figures of the course of a search


def scored(decision: Decision) -> list[tuple[TrialRecord, float]]:
    """Finished trials of the search with their objective, by trial number."""
    objective = decision.saved.sweep.objective
    trials = [t for t in decision.saved.trials if t.role == "search" and t.state == "complete"]
    pairs = [(t, t.metrics[objective]) for t in trials if math.isfinite(t.metrics.get(objective, math.nan))]
    return sorted(pairs, key=lambda pair: pair[0].trial)


def too_few(decision: Decision) -> bool:
    """Whether there are too few finished runs for figures of the search."""
    return len(scored(decision)) < LEAST_RUNS


def varied_keys(decision: Decision) -> list[str]:
    """Keys that took several values among the finished runs; not the seed, which is no choice."""
    trials = [t for t, _ in scored(decision)]
    keys = (key for key in decision.saved.sweep.space if key != "seed")
    return [key for key in keys if len({value_of(t, key) for t in trials}) > 1]


def pruned(decision: Decision) -> list[TrialRecord]:
    """Pruned trials that have a curve."""
    return [t for t in decision.saved.trials if t.state == "pruned" and t.history]
