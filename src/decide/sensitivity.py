"""How firmly the choice stands: is another candidate chosen when something small changes?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from src.common.statistics import spread
from src.config.schema import DecisionConfig
from src.decide.candidates import Candidate
from src.decide.choice import Decision, choose
from src.decide.configurations import Configuration
from src.decide.models import models_of
from src.decide.notes import Note, note
from src.decide.rule import Shared, file_of
from src.decide.uncertainty import Model

LATENCY = 0.10  # by how much latency gets worse
LIMIT = 0.10  # by how much a limit moves either way
LIMITS = (
    "max_latency_ms", "max_size_mb", "max_memory_mb", "min_throughput_ips", "min_capacity_rps", "min_map",
    "max_export_loss",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What is chosen in a scenario."""

    scenario: Note
    recommended: Candidate | None
    changed: bool


def sensitivity(decision: Decision) -> list[Outcome]:
    """Choose again in every scenario; empty without a winner."""
    if decision.recommended is None:
        return []
    outcomes = [_slower(decision), _slower_winner(decision)]
    outcomes += [_without_seed(decision, seed) for seed in _seeds(decision)]
    return outcomes + list(_moved_limits(decision))


def _outcome(
    decision: Decision,
    scenario: Note,
    found: list[Candidate] | None = None,
    settings: DecisionConfig | None = None,
    shared: Shared | None = None,
) -> Outcome:
    found = decision.candidates if found is None else found
    shared = shared or decision.shared
    chosen = choose(found, settings or decision.settings, decision.statistic, decision.level, shared).recommended
    before = decision.recommended.key if decision.recommended else None
    return Outcome(scenario, chosen, (chosen.key if chosen else None) != before)


def _slowed(c: Candidate) -> Candidate:
    factor = 1 + LATENCY
    first, *others = c.evidence
    measured = first.measurement
    if measured is not None:  # its rounds say which of two is faster
        rounds = {k: [v * factor for v in values] for k, values in measured.rounds.items()}
        first = replace(first, measurement=replace(measured, rounds=rounds))
    return replace(
        c,
        evidence=(first, *others),
        latency={k: v * factor for k, v in c.latency.items()},
        latency_interval={k: (low * factor, high * factor) for k, (low, high) in c.latency_interval.items()},
        throughput_ips=c.throughput_ips / factor,
    )


def _slower(decision: Decision) -> Outcome:
    found = [_slowed(c) for c in decision.candidates]
    return _outcome(decision, note("case_slower", percent=round(100 * LATENCY)), found)


def _slower_winner(decision: Decision) -> Outcome:
    found = [_slowed(c) if c is decision.recommended else c for c in decision.candidates]
    shared = decision.shared
    if shared is not None and decision.recommended is not None:
        own = file_of(decision.recommended)
        shared = replace(shared, files={f: _slowed(c) if f == own else c for f, c in shared.files.items()})
    return _outcome(decision, note("case_slower_winner", percent=round(100 * LATENCY)), found, shared=shared)


def _seeds(decision: Decision) -> list[int]:
    seeds = sorted({t.seed for c in decision.finished for t in c.trials})
    return seeds if len(seeds) > 1 else []


def seeds_that_flip(decision: Decision) -> list[int]:
    """Seeds without which another configuration is chosen; which runtime serves it is a matter of speed."""
    before = decision.recommended
    if before is None:
        return []
    found = ((seed, _without_seed(decision, seed).recommended) for seed in _seeds(decision))
    return [seed for seed, after in found if after and after.configuration.config_id != before.configuration.config_id]


def _without_seed(decision: Decision, seed: int) -> Outcome:
    """Drop one seed from every configuration that has others; artifacts and their costs stay."""
    groups = [_dropped(c, seed) for c in decision.finished]
    models = models_of(groups, decision.saved, decision.settings.seed_sd)
    by_id = {c.config_id: c for c in groups}

    def again(c: Candidate) -> Candidate:
        return _again(c, by_id[c.configuration.config_id], models[c.configuration.config_id])

    shared = decision.shared
    if shared is not None:
        shared = replace(shared, files={f: again(c) for f, c in shared.files.items()})
    return _outcome(decision, note("case_seed", seed=seed), [again(c) for c in decision.candidates], shared=shared)


def _again(c: Candidate, configuration: Configuration, source: Model) -> Candidate:
    """The candidate with another set of seeds behind its configuration."""
    score = configuration.spread.scaled(c.retention)
    effect = replace(c.model.effect, value=score.mean - configuration.spread.mean)
    return replace(c, configuration=configuration, score=score, model=replace(source, score=score.mean, effect=effect))


def _dropped(c: Configuration, seed: int) -> Configuration:
    kept = [(s, t) for s, t in zip(c.scores, c.trials, strict=True) if t.seed != seed]
    if not kept:
        return c
    scores = tuple(s for s, _ in kept)
    return replace(c, scores=scores, trials=tuple(t for _, t in kept), spread=spread(scores))


def _moved_limits(decision: Decision) -> Iterator[Outcome]:
    for key in LIMITS:
        value = getattr(decision.settings, key)
        if value is None or not math.isfinite(value) or value == 0:
            continue
        for factor in (1 - LIMIT, 1 + LIMIT):
            moved = replace(decision.settings, **{key: value * factor})
            yield _outcome(decision, note("case_limit", key=key, value=float(f"{value * factor:.4g}")), settings=moved)
