"""The decision as a pure function: candidates and limits in, a choice out.

The best score among what is feasible sets the mark; of all that can't be told from it, the cheapest is chosen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from src.common.statistics import CONFIDENCE
from src.config import DecisionConfig
from src.errors import UserError
from src.report.candidates import Candidate, candidates, cost_statistic
from src.report.configurations import Configuration, configurations
from src.report.difference import Difference, Noise, difference, holm, noise_of
from src.report.limits import feasible, limits_of, require_measured
from src.report.load import Saved


@dataclass(frozen=True)
class Comparison:
    """The best candidate against another one."""

    other: Candidate
    difference: Difference  # best less other
    p_adjusted: float  # by Holm over all comparisons with the best

    @property
    def tied(self) -> bool:
        """Whether the other can't be told from the best."""
        return self.p_adjusted >= 1 - CONFIDENCE


@dataclass(frozen=True)
class Ranking:
    """Everything that the verdict and the document are made from."""

    saved: Saved
    decision: DecisionConfig
    configurations: list[Configuration]
    candidates: list[Candidate]  # feasible ones first, then by falling score
    feasible: set[tuple[str, str, str, str]]
    pareto: set[tuple[str, str, str, str]]
    statistic: str  # of latency, by which candidates are compared
    noise: Noise
    best: Candidate | None  # highest score among the feasible
    comparisons: list[Comparison]  # best against every other feasible one
    winner: Candidate | None  # the cheapest among the best and what is tied with it

    @property
    def finished(self) -> list[Configuration]:
        """Configurations with at least one usable trial."""
        return [c for c in self.configurations if c.trials]

    @property
    def tied(self) -> list[Comparison]:
        """What can't be told from the best."""
        return [c for c in self.comparisons if c.tied]

    @property
    def closest(self) -> Candidate | None:
        """The candidate that breaks the fewest limits, then by the smallest overshoot."""
        return min(self.candidates, key=lambda c: _breach(c, self.decision), default=None)


@dataclass(frozen=True)
class Choice:
    """What is chosen among candidates."""

    feasible: list[Candidate]
    best: Candidate | None
    comparisons: list[Comparison]
    winner: Candidate | None


def choose(found: list[Candidate], decision: DecisionConfig, noise: Noise, statistic: str) -> Choice:
    """The best among the feasible, and the cheapest among what can't be told from it."""
    kept = [c for c in found if _eligible(c, found, decision)]
    best = max(kept, key=lambda c: (c.score.mean, -cost(c, statistic)), default=None)
    comparisons = _compare(best, kept, noise)
    return Choice(kept, best, comparisons, _cheapest(best, comparisons, statistic))


def rank(saved: Saved, decision: DecisionConfig) -> Ranking:
    """Rank what a sweep found under `decision`.

    Raises:
        UserError: a complete trial without the objective, a limit on what nobody measured, or two machines mixed.
    """
    require_one_machine(saved)
    groups = configurations(saved.trials, saved.sweep.objective)
    found = candidates(groups, saved, decision)
    require_measured(found, decision)
    statistic = cost_statistic(decision, found)
    noise = noise_of(groups, decision.max_export_loss)
    choice = choose(found, decision, noise, statistic)
    keys = {c.key for c in choice.feasible}
    return Ranking(
        saved=saved,
        decision=decision,
        configurations=groups,
        candidates=sorted(found, key=lambda c: (c.key not in keys, not c.verified, -_score(c), cost(c, statistic))),
        feasible=keys,
        pareto={c.key for c in pareto(found, statistic, noise)},
        statistic=statistic,
        noise=noise,
        best=choice.best,
        comparisons=choice.comparisons,
        winner=choice.winner,
    )


def require_one_machine(saved: Saved) -> None:
    """Refuse latencies of different machines in one ranking.

    Raises:
        UserError: naming the machines and their trials.
    """
    machines: dict[str, list[int]] = {}
    for number, record in sorted(saved.finalists.items()):
        if record.measurements and record.environment:
            machines.setdefault(record.environment.host, []).append(number)
    if len(machines) > 1:
        raise UserError(
            f"{saved.folder}: finalists were measured on different machines, so their latencies can't be compared",
            value="; ".join(f"{host[:16]}: trials {', '.join(map(str, n))}" for host, n in machines.items()),
            remedy="remove the finalist.json of the trials measured elsewhere and run the sweep's command again",
        )


def _eligible(candidate: Candidate, found: list[Candidate], decision: DecisionConfig) -> bool:
    """Feasible, verified, and benchmarked unless nothing was."""
    benchmarked = candidate.measured or not any(c.measured for c in found)
    return candidate.verified and benchmarked and feasible(candidate, decision)


def _compare(best: Candidate | None, kept: list[Candidate], noise: Noise) -> list[Comparison]:
    if best is None:
        return []
    others = [c for c in kept if c.key != best.key]
    found = [difference(best, other, noise) for other in others]
    return [Comparison(*row) for row in zip(others, found, holm([d.p for d in found]), strict=True)]


def _cheapest(best: Candidate | None, comparisons: list[Comparison], statistic: str) -> Candidate | None:
    if best is None:
        return None
    pool = [best, *(c.other for c in comparisons if c.tied)]
    return min(pool, key=lambda c: (cost(c, statistic), -c.score.mean))


def cost(candidate: Candidate, statistic: str) -> float:
    """Latency in ms, infinite when not measured."""
    return candidate.latency.get(statistic, math.inf)


def _score(candidate: Candidate) -> float:
    return candidate.score.mean if math.isfinite(candidate.score.mean) else -math.inf


def _breach(candidate: Candidate, decision: DecisionConfig) -> tuple[int, float]:
    broken = [x for x in limits_of(candidate, decision) if not x.holds]
    over = [abs(x.measured - x.limit) / (abs(x.limit) or 1.0) for x in broken if math.isfinite(x.measured)]
    return len(broken), math.fsum(over)


def pareto(found: list[Candidate], statistic: str, noise: Noise) -> list[Candidate]:
    """Candidates that none dominates.

    One dominates another when it is better in score or latency, worse in neither, and "better" means that the
    intervals separate; otherwise the two are tied.
    """
    known = [c for c in found if c.measured and c.verified]
    return [c for c in known if not any(_dominates(o, c, statistic, noise) for o in known if o is not c)]


def _dominates(a: Candidate, b: Candidate, statistic: str, noise: Noise) -> bool:
    faster, slower = _faster(a, b, statistic), _faster(b, a, statistic)
    if slower:
        return False
    gap = difference(a, b, noise)
    return not gap.high < 0 and (faster or gap.low > 0)


def _faster(a: Candidate, b: Candidate, statistic: str) -> bool:
    """Whether the latency of `a` lies below that of `b`, intervals apart."""
    point_a, point_b = cost(a, statistic), cost(b, statistic)
    _, high = a.latency_interval.get(statistic, (point_a, point_a))
    low, _ = b.latency_interval.get(statistic, (point_b, point_b))
    return high < low
