"""Successive halving that pauses and continues: which configurations go on from their rung, and which are given up.

Every configuration is trained to the first rung of its bracket and paused there. When none is left to begin, the best
1/eta of those that have reached a rung go on from their kept state to the next one. A worker that is free promotes by
what has been seen so far, and never waits for a rung to fill up (Li et al., "A system for massively parallel
hyperparameter tuning", MLSys 2020; there promotion comes before beginning, which trains more in vain where the number
of configurations is known). A paused configuration is not lost: one that stands better after others have come in goes
on later. When nobody trains any more, the best of a rung goes on even where 1/eta of its number is less than one, so
that every bracket has a configuration that was trained to the end; what is still paused then is given up.

With Hyperband (Li et al., JMLR 18, 2018) brackets begin at different rungs, each with its share of configurations.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from src.config.schema import Pruner, StudyConfig

BLOCK = 1024  # slots whose brackets are dealt out at once
ETA = {Pruner.asha: 2, Pruner.hyperband: 3}


@dataclass(frozen=True)
class Standing:
    """A configuration that has begun."""

    slot: int
    scores: Sequence[float]  # at the rungs of its bracket that it has reached, in order
    paused: bool  # waits at the last of them


@dataclass(frozen=True)
class Halving:
    """The rungs of a study.

    Attributes:
        first: epochs of the first rung.
        epochs: of a whole training.
        eta: one of so many goes on.
        brackets: 1, or the number of Hyperband's.
    """

    first: int
    epochs: int
    eta: int
    brackets: int = 1

    def bracket(self, slot: int) -> int:
        """The bracket of a slot: dealt out so that each has its share among any number of slots in a row."""
        return _dealt(self, (slot // BLOCK + 1) * BLOCK)[slot] if self.brackets > 1 else 0

    def share(self, bracket: int) -> float:
        """Hyperband's number of configurations in a bracket, as a share of all: each bracket costs about the same."""
        most = self.brackets - 1
        sizes = [math.ceil((most + 1) / (most - b + 1) * self.eta ** (most - b)) for b in range(self.brackets)]
        return float(sizes[bracket] / sum(sizes))

    def rungs(self, bracket: int = 0) -> list[int]:
        """Epochs after which configurations of a bracket are paused; the end of training is none."""
        found = []
        at = self.first * self.eta**bracket
        while at < self.epochs:
            found.append(at)
            at *= self.eta
        return found

    def until(self, slot: int, reached: int) -> int | None:
        """Epochs to train a slot to that has reached so many rungs; None = to the end."""
        rungs = self.rungs(self.bracket(slot))
        return rungs[reached] if reached < len(rungs) else None

    def plain(self, slots: int) -> dict[str, Any]:
        """For the sweep's record: epochs of a whole training, rungs of each bracket, bracket of each slot."""
        dealt = [self.bracket(slot) for slot in range(slots)]
        return {"epochs": self.epochs, "rungs": [self.rungs(b) for b in range(self.brackets)], "brackets": dealt}

    def promoted(self, standings: Sequence[Standing], at_rest: bool) -> list[int]:
        """Paused slots that go on, those on the lowest rung first: a rung is chosen from as many as can reach it.

        Args:
            standings: of every slot that has begun.
            at_rest: nothing is left to begin, and nobody trains.
        """
        found: list[tuple[int, float, int]] = []
        for bracket in range(self.brackets):
            own = [s for s in standings if self.bracket(s.slot) == bracket]
            for rung in range(len(self.rungs(bracket))):
                there = sorted((s for s in own if len(s.scores) > rung), key=lambda s: (-s.scores[rung], s.slot))
                quota = max(len(there) // self.eta, 1 if at_rest else 0)
                waiting = [s for s in there[:quota] if s.paused and len(s.scores) == rung + 1]
                found += [(rung, -s.scores[rung], s.slot) for s in waiting]
        return [slot for _, _, slot in sorted(found)]


@functools.cache
def _dealt(halving: Halving, slots: int) -> list[int]:
    shares, given = [halving.share(b) for b in range(halving.brackets)], [0] * halving.brackets
    found = []
    for slot in range(slots):
        chosen = max(range(halving.brackets), key=lambda b: (shares[b] * (slot + 1) - given[b], -b))
        given[chosen] += 1
        found.append(chosen)
    return found


def halving_of(cfg: StudyConfig, epochs: int) -> Halving | None:
    """The halving that `study.pruner` asks for; None where another is asked for, or training is too short."""
    eta = ETA.get(cfg.pruner)
    first = max(cfg.pruner_warmup, 1)
    if eta is None or first >= epochs:
        return None
    brackets = 1
    if cfg.pruner is Pruner.hyperband:
        while first * eta**brackets < epochs:
            brackets += 1
    return Halving(first, epochs, eta, brackets)


def label(halving: Halving, slot: int, reached: int) -> str:
    """Where a slot stands, for a line of the table."""
    bracket = halving.bracket(slot)
    rungs = halving.rungs(bracket)
    at = f"rung {reached + 1}/{len(rungs) + 1}"
    return f"{at}, bracket {bracket + 1}/{halving.brackets}" if halving.brackets > 1 else at
