"""The decision as a pure function of records: what is the best, and what may be shipped in its place.

The rule: the cheapest model that we are confident is at most `decision.margin` worse than the best; if none is, the
best. Configurations are told apart first (different weights), artifacts of one configuration second, runtimes of one
file last, by latency alone. An artifact of the best configuration is held against its best artifact on the same images,
every other one against all rivals. Cheaper means measured to be faster; within a tie of speed the more accurate one is
taken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from src.common.errors import UserError
from src.config.schema import DecisionConfig
from src.decide.bounds import Deficit, deficit_of, deficits, shared_level
from src.decide.candidates import Candidate, candidates, cost_statistic
from src.decide.configurations import Configuration, configurations
from src.decide.limits import feasible, limits_of, require_measured
from src.decide.load import Saved
from src.decide.looks import level_at, share_of
from src.decide.models import models_of
from src.decide.pareto import pareto
from src.decide.speed import cost, fastest, slower
from src.decide.uncertainty import SAME, Model

Key = tuple[str, str, str, str]  # config_id, format, precision, runtime


@dataclass(frozen=True)
class Comparison:
    """A candidate against the rival that bounds its deficit."""

    other: Candidate  # the one that is judged
    rival: Candidate  # the one that it may be worse than
    deficit: Deficit  # rival less other

    @property
    def within(self) -> bool:
        """Whether we are confident that it is at most the margin worse than the best."""
        return self.deficit.status == "within"


@dataclass(frozen=True)
class Choice:
    """What is chosen among candidates."""

    feasible: list[Candidate]
    best: Candidate | None
    comparisons: list[Comparison]
    recommended: Candidate | None


@dataclass(frozen=True)
class Decision:
    """Everything that the verdict and the document are made from."""

    saved: Saved
    settings: DecisionConfig
    configurations: list[Configuration]
    models: dict[str, Model]  # by config_id: the mean over seeds with its uncertainty
    candidates: list[Candidate]  # feasible ones first, then by falling score
    feasible: set[Key]
    pareto: set[Key]
    statistic: str  # of latency, by which candidates are compared
    rivals: int  # comparisons that hold together at `settings.confidence`
    best: Candidate | None  # highest score among the feasible
    recommended: Candidate | None
    comparisons: list[Comparison] = field(default_factory=list)  # of every feasible candidate but the best

    @property
    def finished(self) -> list[Configuration]:
        """Configurations with at least one usable trial."""
        return [c for c in self.configurations if c.trials]

    @property
    def level(self) -> float:
        """Confidence of each single comparison."""
        return shared_level(level_of(self.saved, self.settings), self.rivals)

    @property
    def closest(self) -> Candidate | None:
        """The candidate that breaks the fewest limits, then by the smallest overshoot."""
        return min(self.candidates, key=lambda c: _breach(c, self.settings), default=None)

    def comparison(self, candidate: Candidate) -> Comparison | None:
        """How a candidate was judged; None for the best, and for what may not be shipped."""
        return next((c for c in self.comparisons if c.other is candidate), None)


def decide(saved: Saved, settings: DecisionConfig) -> Decision:
    """Decide on what a sweep found.

    Raises:
        UserError: a complete trial without the objective, a limit on what nobody measured, or two machines mixed.
    """
    require_one_machine(saved)
    groups = configurations(saved.trials, saved.sweep.objective)
    models = models_of(groups, saved, settings.seed_sd)
    found = candidates(groups, saved, settings, models)
    require_measured(found, settings)
    statistic = cost_statistic(settings, found)
    rivals = rivals_of(groups)
    choice = choose(found, settings, statistic, shared_level(level_of(saved, settings), rivals))
    keys = {c.key for c in choice.feasible}
    return Decision(
        saved=saved,
        settings=settings,
        configurations=groups,
        models=models,
        candidates=sorted(found, key=lambda c: (c.key not in keys, not c.verified, -_score(c), cost(c, statistic))),
        feasible=keys,
        pareto={c.key for c in pareto(found, statistic)},
        statistic=statistic,
        rivals=rivals,
        best=choice.best,
        recommended=choice.recommended,
        comparisons=choice.comparisons,
    )


def rivals_of(groups: Sequence[Configuration]) -> int:
    """Comparisons with the best that selection could have made: one for every other configuration of its kind.

    Fresh seeds replace the search for the configurations that have them; the others can't be chosen any more.
    """
    finished = [c for c in groups if c.trials]
    confirmed = [c for c in finished if c.selection is not None]
    return max(1, len(confirmed or finished) - 1)


def level_of(saved: Saved, settings: DecisionConfig) -> float:
    """The confidence of the decision at this look; looks at growing evidence share the error.

    The last look that was saved is the one that decides, so what is printed later is what stopped the sweep.
    """
    share = share_of(saved.sweep.looks)
    return settings.confidence if share is None else level_at(settings.confidence, share)


def choose(found: Sequence[Candidate], settings: DecisionConfig, statistic: str, level: float) -> Choice:
    """The best among the feasible, and the cheapest that is at most the margin worse.

    Args:
        found: candidates.
        settings: limits and the margin.
        statistic: of latency.
        level: confidence of each comparison.
    """
    kept = [c for c in found if _eligible(c, found, settings)]
    best = max(kept, key=lambda c: (c.score.mean, -cost(c, statistic)), default=None)
    if best is None:
        return Choice(kept, None, [], None)
    weights, representatives = _by_weights(kept)
    representatives[weights[best.key]] = best
    models = [c.model for c in representatives]
    judged = deficits(models, settings.margin, level)
    own = [i for i, c in enumerate(representatives) if c.configuration is best.configuration]
    for i in own:  # whatever ships in place of the best by its own training is held against the best alone
        judged[i] = deficit_of(models, i, [weights[best.key]], settings.margin, level)
    comparisons = [
        Comparison(c, representatives[judged[weights[c.key]].rival], judged[weights[c.key]])
        for c in kept
        if c is not best
    ]
    pool = [best, *(c.other for c in comparisons if c.within)]
    return Choice(kept, best, comparisons, cheapest(pool, statistic))


def _by_weights(kept: Sequence[Candidate]) -> tuple[dict[Key, int], list[Candidate]]:
    """Candidates that detect the same: their number by key, and one candidate for each number.

    One file on several runtimes, or several files that lose nothing, are one model to the comparison.
    """
    numbers: dict[tuple[str, int], int] = {}
    where: dict[Key, int] = {}
    representatives: list[Candidate] = []
    for c in kept:
        # Effects are counted in steps of what is rounding; a file that differs by more is another model.
        kind = (c.configuration.config_id, round(c.model.effect.value / SAME))
        if kind not in numbers:
            numbers[kind] = len(representatives)
            representatives.append(c)
        where[c.key] = numbers[kind]
    return where, representatives


def cheapest(pool: Sequence[Candidate], statistic: str) -> Candidate:
    """The fastest; within a tie of speed the more accurate one, and of one configuration's equals the fastest again."""
    first = fastest(pool, statistic)
    tied = [c for c in pool if c is first or not slower(c, first, statistic)]
    most = max(tied, key=lambda c: c.score.mean)
    alike = [c for c in tied if c.configuration is most.configuration and most.score.mean - c.score.mean < SAME]
    return fastest(alike, statistic)


def require_one_machine(saved: Saved) -> None:
    """Refuse latencies of different machines in one decision.

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


def _eligible(candidate: Candidate, found: Sequence[Candidate], settings: DecisionConfig) -> bool:
    """Feasible, verified, and benchmarked unless nothing was."""
    benchmarked = candidate.measured or not any(c.measured for c in found)
    return candidate.verified and benchmarked and feasible(candidate, settings)


def _score(candidate: Candidate) -> float:
    return candidate.score.mean if math.isfinite(candidate.score.mean) else -math.inf


def _breach(candidate: Candidate, settings: DecisionConfig) -> tuple[int, float]:
    broken = [x for x in limits_of(candidate, settings) if not x.holds]
    over = [abs(x.measured - x.limit) / (abs(x.limit) or 1.0) for x in broken if math.isfinite(x.measured)]
    return len(broken), math.fsum(over)
