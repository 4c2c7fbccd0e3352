"""What the evidence leaves open: cheaper models that could still be within the margin, and what would settle each.

Trainings are spent on what is established to be cheaper. What was measured to be cheaper by rounds that don't establish
it is open too, since it may be what should ship, and waits for another measurement.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from src.common.statistics import t_quantile
from src.decide.candidates import Candidate
from src.decide.choice import Comparison, Decision, Key
from src.decide.speed import compare_speed, dearer, slower
from src.decide.uncertainty import SAME, Model

MOST_SEEDS = 999  # beyond, seeds alone don't settle it


@dataclass(frozen=True)
class OpenQuestion:
    """A cheaper candidate that is neither shown to be within the margin nor shown to be worse."""

    comparison: Comparison
    ratio: float  # its latency over that of the recommended one, over all devices where one model does for several
    seeds: int | None  # seeds that both configurations would need in all; None: seeds alone don't settle it
    images: int | None  # val images that would do at today's seeds; None: images alone don't settle it
    faster: bool = True  # whether the rounds establish that it is faster

    @property
    def candidate(self) -> Candidate:
        """The cheaper one."""
        return self.comparison.other


def open_questions(decision: Decision) -> list[OpenQuestion]:
    """Open questions, the cheapest first, one for every model: what runs faster elsewhere is the same question."""
    chosen = decision.recommended
    if chosen is None:
        return []
    sure = open_comparisons(decision)
    named = {_model(c) for c in sure}
    perhaps = [c for c in _cheaper(decision, dearer) if c.deficit.status == "open" and _model(c) not in named]
    return [
        OpenQuestion(
            c,
            decision.cost(c.other) / decision.cost(chosen),
            seeds_to_decide(decision, c),
            images_to_decide(decision, c),
            faster,
        )
        for c, faster in [*((c, True) for c in sure), *((c, False) for c in perhaps)]
    ]


def open_comparisons(decision: Decision) -> list[Comparison]:
    """The comparisons behind the open questions, the cheapest candidate first, one for every model."""
    return [c for c in asked(decision) if c.deficit.status == "open"]


def undecided_speed(decision: Decision) -> list[Candidate]:
    """Models whose speed against the recommended one's would change the choice, and isn't decided: no seed decides it.

    What no accuracy rules out and may be faster would be cheaper; what is good enough and more accurate would ship in
    its place if it were as fast. Each model counts as what runs it fastest, and the recommended one's other files and
    runtimes are that model.
    """
    chosen = decision.recommended
    if chosen is None or decision.best is None:
        return []
    good = [decision.best, *(c.other for c in decision.comparisons if c.within)]
    open_ = [c.other for c in decision.comparisons if c.deficit.status == "open"]
    found: dict[tuple[str, float], Candidate] = {}
    for c in sorted([*good, *open_], key=decision.cost):
        found.setdefault(_kind(c), c)
    found.pop(_kind(chosen), None)
    return [c for c in found.values() if _undecided(decision, chosen, c, {x.key for x in good})]


def _undecided(decision: Decision, chosen: Candidate, c: Candidate, good: set[Key]) -> bool:
    speed = compare_speed(*decision.sides(chosen, c))
    if speed is None or speed.verdict != "no decision":
        return False
    return speed.ratio > 1 or (c.key in good and c.score.mean - chosen.score.mean > SAME)


def asked(decision: Decision) -> list[Comparison]:
    """The comparison of every model that is cheaper than the recommended one, settled or not, the cheapest first."""
    return _cheaper(decision, slower)


def _cheaper(decision: Decision, than: Callable[[Candidate, Candidate, str], bool]) -> list[Comparison]:
    """Comparisons of models that the recommended one is slower `than`, one for every model, the cheapest first."""
    chosen = decision.recommended
    if chosen is None or math.isinf(decision.cost(chosen)):
        return []
    found: dict[tuple[str, float, str], Comparison] = {}
    for c in sorted(decision.comparisons, key=lambda c: decision.cost(c.other)):
        if c.other is not chosen and _model(c) not in found and than(*decision.sides(chosen, c.other)):
            found[_model(c)] = c
    return list(found.values())


def _model(c: Comparison) -> tuple[str, float, str]:
    """What runs faster elsewhere is the same model, and the same question."""
    return (*_kind(c.other), c.deficit.status)


def _kind(c: Candidate) -> tuple[str, float]:
    return c.configuration.config_id, round(c.model.effect.value, 3)


def seeds_to_decide(decision: Decision, c: Comparison) -> int | None:
    """Seeds of each of the two at which the bound would fall on one side of the margin, if the means stayed.

    With more seeds the spread over seeds counts less; the share of the images stays as it is.
    """
    a, b = c.rival.model, c.other.model
    if a.config_id == b.config_id or math.isinf(a.effect.variance) or math.isinf(b.effect.variance):
        return None  # what export changed is not established, and no seed tells it
    distance = abs(decision.settings.margin - c.deficit.delta)
    rest = _images_variance(c, a, b)
    for n in range(2, MOST_SEEDS + 1):
        seeds = (_sd(a) ** 2 + _sd(b) ** 2) / n
        freedom = max(1.0, 2.0 * (n - 1))
        if not math.isfinite(seeds):
            return 2  # nothing is known of the spread before there is a second seed
        if t_quantile(decision.level, freedom) * math.sqrt(seeds + rest) < distance:
            return n
    return None


def images_to_decide(decision: Decision, c: Comparison) -> int | None:
    """Val images at which the bound would fall on one side of the margin, at today's seeds."""
    a, b = c.rival.model, c.other.model
    own = c.other.best.val_depth
    n = own.n_images if own else _val_images(c.other)
    rest = _images_variance(c, a, b)
    if not n or not math.isfinite(c.deficit.gap.se) or rest <= 0:
        return None
    distance = abs(decision.settings.margin - c.deficit.delta)
    allowed = (distance / t_quantile(decision.level, c.deficit.gap.freedom)) ** 2 - (c.deficit.gap.se**2 - rest)
    return math.ceil(n * rest / allowed) if allowed > 0 else None


def _images_variance(c: Comparison, a: Model, b: Model) -> float:
    """What the images add to the variance of the difference."""
    if a.config_id == b.config_id:
        return c.deficit.gap.se**2 if math.isfinite(c.deficit.gap.se) else 0.0
    if not math.isfinite(c.deficit.gap.se):
        return 0.0
    return max(0.0, c.deficit.gap.se**2 - a.seeds.variance_of_mean - b.seeds.variance_of_mean)


def _sd(m: Model) -> float:
    return m.seeds.sd if m.seeds.known else math.inf


def _val_images(c: Candidate) -> int:
    dataset = c.best.trial.dataset
    return dataset.split_sizes.get("val", 0) if dataset else 0
