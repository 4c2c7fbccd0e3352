"""The rule itself: the best among what is feasible, and the cheapest that is shown to be at most the margin worse.

One model for several devices is chosen by the same rule: only files that keep every device's limits count, and cheaper
is what takes less over all devices (`src.decide.across`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from src.config.schema import DecisionConfig
from src.decide.bounds import Deficit, deficit_of, deficits
from src.decide.candidates import Candidate
from src.decide.limits import feasible
from src.decide.speed import cost, dearer, fastest
from src.decide.uncertainty import SAME

Key = tuple[str, str, str, str]  # config_id, format, precision, runtime
File = tuple[str, str, str]  # config_id, format, precision
OVERALL = "overall"  # the latency of a file over several devices: the geometric mean of theirs


@dataclass(frozen=True)
class Shared:
    """What may be the one model for several devices."""

    files: Mapping[File, Candidate]  # that keep every device's limits, with their cost over all of them

    def cheapest(self, pool: Sequence[Candidate], statistic: str) -> Candidate:
        """Of candidates on the machine that decides, the file that is cheapest over all devices."""
        first = cheapest([self.files[f] for f in dict.fromkeys(map(file_of, pool))], OVERALL)
        return fastest([c for c in pool if file_of(c) == file_of(first)], statistic)


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


def file_of(candidate: Candidate) -> File:
    """The file of a candidate, whatever runs it."""
    return candidate.key[:3]


def choose(
    found: Sequence[Candidate],
    settings: DecisionConfig,
    statistic: str,
    level: float,
    shared: Shared | None = None,
) -> Choice:
    """The best among the feasible, and the cheapest that is at most the margin worse.

    Args:
        found: candidates.
        settings: limits and the margin.
        statistic: of latency.
        level: confidence of each comparison.
        shared: where one model has to do for several devices.
    """
    kept = [c for c in found if eligible(c, found, settings) and (shared is None or file_of(c) in shared.files)]
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
    chosen = cheapest(pool, statistic) if shared is None else shared.cheapest(pool, statistic)
    return Choice(kept, best, comparisons, chosen)


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
    """The fastest; of those as fast the more accurate one, and of one configuration's equals the fastest again.

    The rounds need not establish that the others are slower, but lean to it: all of them are good enough, so what is
    likely to be the cheapest is the better choice, and the page lists what isn't decided.
    """
    first = fastest(pool, statistic)
    tied = [c for c in pool if c is first or not dearer(c, first, statistic)]
    most = max(tied, key=lambda c: c.score.mean)
    alike = [c for c in tied if c.configuration is most.configuration and most.score.mean - c.score.mean < SAME]
    return fastest(alike, statistic)


def eligible(candidate: Candidate, found: Sequence[Candidate], settings: DecisionConfig) -> bool:
    """Feasible, verified, and benchmarked unless nothing was."""
    benchmarked = candidate.measured or not any(c.measured for c in found)
    return candidate.verified and benchmarked and feasible(candidate, settings)
