"""The decision as a pure function of records: what is the best, and what may be shipped in its place.

The rule: the cheapest model that we are confident is at most `decision.margin` worse than the best; if none is, the
best. Configurations are told apart first (different weights), artifacts of one configuration second, runtimes of one
file last, by latency alone. An artifact of the best configuration is held against its best artifact on the same images,
every other one against all rivals. Cheaper means a latency that the rounds lean to being lower; of those as fast the
more accurate one is taken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from src.common.errors import UserError
from src.config.schema import DecisionConfig
from src.decide.across import Across, across_devices
from src.decide.bounds import shared_level
from src.decide.candidates import Candidate, candidates, cost_statistic
from src.decide.configurations import Configuration, configurations
from src.decide.limits import limits_of, require_measured
from src.decide.load import Saved
from src.decide.looks import level_at, share_of
from src.decide.models import models_of
from src.decide.pareto import pareto
from src.decide.rule import OVERALL, Shared, file_of
from src.decide.rule import Choice as Choice
from src.decide.rule import Comparison as Comparison
from src.decide.rule import Key as Key
from src.decide.rule import choose as choose
from src.decide.speed import cost
from src.decide.uncertainty import Model


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
    across: Across | None = None  # what every device of `decision.devices` asks for, and gets

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

    @property
    def shared(self) -> Shared | None:
        """What may be the one model for several devices; None where one machine decides."""
        return self.across.shared if self.across else None

    def cost(self, candidate: Candidate) -> float:
        """What the choice goes by: the latency over all devices where there are several, else the machine's."""
        joined = self.shared.files.get(file_of(candidate)) if self.shared else None
        return cost(joined, OVERALL) if joined else cost(candidate, self.statistic)

    def sides(self, a: Candidate, b: Candidate) -> tuple[Candidate, Candidate, str]:
        """Two candidates with the latencies that the choice compares them by, and the name of the statistic.

        What some device refuses has no latency over all of them, and is compared by the machine that decides.
        """
        files = self.shared.files if self.shared else {}
        if file_of(a) in files and file_of(b) in files:
            return files[file_of(a)], files[file_of(b)], OVERALL
        return a, b, self.statistic

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
    level = shared_level(level_of(saved, settings), rivals)
    across = across_devices(groups, saved, settings, models, level) if settings.devices else None
    choice = choose(found, settings, statistic, level, across.shared if across else None)
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
        across=across,
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


def _score(candidate: Candidate) -> float:
    return candidate.score.mean if math.isfinite(candidate.score.mean) else -math.inf


def _breach(candidate: Candidate, settings: DecisionConfig) -> tuple[int, float]:
    broken = [x for x in limits_of(candidate, settings) if not x.holds]
    over = [abs(x.measured - x.limit) / (abs(x.limit) or 1.0) for x in broken if math.isfinite(x.measured)]
    return len(broken), math.fsum(over)
