"""Which configuration gets the next fresh seed, while the decision has open questions.

The cheapest open candidate comes first: it has to be told in or out whatever becomes of the dearer ones, and once it is
in they don't matter any more, so no training for it is wasted. Where the recommended one is merely the best by its
mean, it comes last: a dearer one may be better by more than the margin until that is ruled out, and without this
question a sweep would stop as soon as a cheap model is lucky. A question that the bound can't settle, even if its
difference lay one standard error further from the margin than it seems to, is passed over for the next one. Of the two
configurations whose difference decides, the one whose fresh seed takes most off its variance is trained: optimal
computing budget allocation for a pair (Chen et al., "Simulation budget allocation for further enhancing the efficiency
of ordinal optimization", Discrete Event Dyn. Syst. 10, 2000), where seeds are shared in proportion to the spreads.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from src.common.statistics import t_quantile
from src.decide.bounds import deficit_of, shared_level
from src.decide.candidates import Candidate
from src.decide.choice import Comparison, Decision
from src.decide.looks import level_at
from src.decide.open_questions import asked, open_comparisons, undecided_speed
from src.decide.speed import slower
from src.decide.uncertainty import Gap, Model, gap


@dataclass(frozen=True)
class Step:
    """What comes next: a configuration to train, or why there is none."""

    config_id: str = ""
    # decided | seeds: what is open can't be settled by seeds | speed: it waits for another measurement
    stopped: str = ""


@dataclass(frozen=True)
class _Question:
    rival: Model
    own: Model
    gap: Gap
    need: float  # further trainings, if the difference is a standard error clearer than it seems


def next_training(decision: Decision, left: float, exhausted: Collection[str] = ()) -> Step:
    """The configuration whose fresh seed most reduces what is open.

    Args:
        decision: at this look.
        left: trainings that the bound still allows.
        exhausted: configurations that can't be trained any more, because they fail.
    """
    comparisons = questions(decision)
    if not comparisons:
        return Step(stopped="speed" if undecided_speed(decision) else "decided")
    pairs = [q for c in comparisons for q in _pair(decision, c, exhausted) if math.isfinite(q.need)]
    if not pairs:
        return Step(stopped="seeds")
    chosen = next((q for q in pairs if q.need <= left), min(pairs, key=lambda q: q.need))
    arms = [m for m in (chosen.own, chosen.rival) if m.config_id not in exhausted]
    return Step(max(arms, key=_gain).config_id)


def questions(decision: Decision) -> list[Comparison]:
    """What keeps the decision open, the cheapest first: cheaper candidates, then the recommended one itself."""
    return [*open_comparisons(decision), *(c for c in [of_best(decision)] if c and c.deficit.status == "open")]


def compared(decision: Decision) -> list[Comparison]:
    """What a look asks of, settled or not: cheaper candidates, then the recommended one however it was chosen."""
    chosen = decision.recommended
    own = (of_best(decision) or decision.comparison(chosen)) if chosen else None
    return [*asked(decision), *([own] if own else [])]


def of_best(decision: Decision) -> Comparison | None:
    """The recommended one, where it is merely the best by its mean, against rivals that are no cheaper and not out.

    Cheaper ones are asked after on their own. None where nothing is left to ask.
    """
    best = decision.recommended
    if best is None or best is not decision.best:
        return None
    out = {c.other.configuration.config_id for c in decision.comparisons if c.deficit.status == "worse"}
    others = [c for c in _rivals(decision, best.model) if c.configuration.config_id not in out]
    rivals = [c for c in others if not slower(*decision.sides(best, c))]
    if not rivals:
        return None
    models = [best.model, *(c.model for c in rivals)]
    found = deficit_of(models, 0, range(1, len(models)), decision.settings.margin, decision.level)
    return Comparison(best, rivals[found.rival - 1], found)


def _pair(decision: Decision, c: Comparison, exhausted: Collection[str]) -> Iterator[_Question]:
    """The difference that decides on a candidate; nothing where seeds don't enter it."""
    own = c.other.model
    rival = c.rival.model
    if c.deficit.delta > decision.settings.margin:  # it leans towards being worse: one rival suffices to show that
        others = [r.model for r in _rivals(decision, own)]
        rival = max(others, key=lambda m: _clearness(decision, gap(m, own)), default=rival)
    if rival.config_id == own.config_id or {rival.config_id, own.config_id} <= set(exhausted):
        return
    if math.isinf(own.effect.variance) or math.isinf(rival.effect.variance):
        return
    found = gap(rival, own)
    yield _Question(rival, own, found, _need(decision, found, rival, own))


def _rivals(decision: Decision, own: Model) -> list[Candidate]:
    """The best feasible file of every other configuration."""
    best: dict[str, Candidate] = {}
    for c in decision.candidates:
        name = c.configuration.config_id
        if c.key in decision.feasible and name != own.config_id:
            best[name] = max(best.get(name, c), c, key=lambda x: x.score.mean)
    return list(best.values())


def _clearness(decision: Decision, g: Gap) -> float:
    return (g.delta - decision.settings.margin) / g.se if math.isfinite(g.se) and g.se > 0 else -math.inf


def _need(decision: Decision, g: Gap, a: Model, b: Model) -> float:
    """Further trainings of the two until the bound falls on one side of the margin, seen favourably."""
    if not math.isfinite(g.se):
        return 1.0  # nothing is known of the spread before there is a second seed
    level = shared_level(level_at(decision.settings.confidence, 1.0), decision.rivals)
    distance = abs(decision.settings.margin - g.delta) + g.se
    images = max(0.0, g.se**2 - a.seeds.variance_of_mean - b.seeds.variance_of_mean)
    allowed = (distance / t_quantile(level, math.inf)) ** 2 - images
    if allowed <= 0:
        return math.inf
    return max(1.0, (a.seeds.sd + b.seeds.sd) ** 2 / allowed - a.seeds.n - b.seeds.n)


def _gain(m: Model) -> tuple[float, int]:
    """What a fresh seed takes off the variance of the mean; of equals the one with fewer seeds."""
    variance = m.seeds.sd**2 if m.seeds.known else math.inf
    return variance / (m.seeds.n * (m.seeds.n + 1)), -m.seeds.n
