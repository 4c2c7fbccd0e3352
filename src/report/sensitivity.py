"""How firmly the choice stands: is another candidate chosen when something small changes?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from src.common.statistics import spread
from src.config import DecisionConfig
from src.report.candidates import Candidate
from src.report.configurations import Configuration
from src.report.difference import noise_of
from src.report.rank import Ranking, choose
from src.report.text import Note, note

LATENCY = 0.10  # by how much latency gets worse
LIMIT = 0.10  # by how much a limit moves either way
LIMITS = ("max_latency_ms", "max_size_mb", "max_memory_mb", "min_throughput_ips", "min_map", "max_export_loss")


@dataclass(frozen=True)
class Outcome:
    """What is chosen in a scenario."""

    scenario: Note
    winner: Candidate | None
    changed: bool


def sensitivity(ranking: Ranking) -> list[Outcome]:
    """Choose again in every scenario; empty without a winner."""
    if ranking.winner is None:
        return []
    outcomes = [_slower(ranking), _slower_winner(ranking)]
    outcomes += [_without_seed(ranking, seed) for seed in _seeds(ranking)]
    return outcomes + list(_moved_limits(ranking))


def _outcome(
    ranking: Ranking,
    scenario: Note,
    found: list[Candidate] | None = None,
    decision: DecisionConfig | None = None,
    groups: list[Configuration] | None = None,
) -> Outcome:
    noise = ranking.noise if groups is None else noise_of(groups, ranking.decision.max_export_loss)
    chosen = choose(found or ranking.candidates, decision or ranking.decision, noise, ranking.statistic).winner
    before = ranking.winner.key if ranking.winner else None
    return Outcome(scenario, chosen, (chosen.key if chosen else None) != before)


def _slowed(c: Candidate) -> Candidate:
    factor = 1 + LATENCY
    return replace(
        c,
        latency={k: v * factor for k, v in c.latency.items()},
        latency_interval={k: (low * factor, high * factor) for k, (low, high) in c.latency_interval.items()},
        throughput_ips=c.throughput_ips / factor,
    )


def _slower(ranking: Ranking) -> Outcome:
    found = [_slowed(c) for c in ranking.candidates]
    return _outcome(ranking, note("case_slower", percent=round(100 * LATENCY)), found)


def _slower_winner(ranking: Ranking) -> Outcome:
    found = [_slowed(c) if c is ranking.winner else c for c in ranking.candidates]
    return _outcome(ranking, note("case_slower_winner", percent=round(100 * LATENCY)), found)


def _seeds(ranking: Ranking) -> list[int]:
    seeds = sorted({t.seed for c in ranking.finished for t in c.trials})
    return seeds if len(seeds) > 1 else []


def _without_seed(ranking: Ranking, seed: int) -> Outcome:
    """Drop one seed from every configuration that has others; artifacts and their costs stay."""
    groups = {c.config_id: _dropped(c, seed) for c in ranking.finished}
    found = [
        replace(c, configuration=(g := groups[c.configuration.config_id]), score=g.spread.scaled(c.retention))
        for c in ranking.candidates
    ]
    return _outcome(ranking, note("case_seed", seed=seed), found, groups=list(groups.values()))


def _dropped(c: Configuration, seed: int) -> Configuration:
    kept = [(s, t) for s, t in zip(c.scores, c.trials, strict=True) if t.seed != seed]
    if not kept:
        return c
    scores = tuple(s for s, _ in kept)
    return replace(c, scores=scores, trials=tuple(t for _, t in kept), spread=spread(scores))


def _moved_limits(ranking: Ranking) -> Iterator[Outcome]:
    for key in LIMITS:
        value = getattr(ranking.decision, key)
        if value is None or not math.isfinite(value) or value == 0:
            continue
        for factor in (1 - LIMIT, 1 + LIMIT):
            moved = replace(ranking.decision, **{key: value * factor})
            yield _outcome(ranking, note("case_limit", key=key, value=float(f"{value * factor:.4g}")), decision=moved)
