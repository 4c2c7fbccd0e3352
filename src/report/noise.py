"""How noisy the benchmark was, told for every candidate and not for the recommended one alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

from src.decide.candidates import Candidate
from src.decide.choice import Decision

NOISY = 0.1  # width of a latency's 95 % interval, relative to it, from which a measurement is called noisy


@dataclass(frozen=True)
class Noise:
    """What is known of the noise in one candidate's latency."""

    width: float  # of the 95 % interval relative to the figure; infinite without one: a single round tells no noise
    disturbed: int  # rounds in which other processes took the processor, for the worst of its measurements

    @property
    def wide(self) -> bool:
        """Whether the interval is too wide to rely on the figure."""
        return self.width > NOISY


def noise_of(c: Candidate, statistic: str) -> Noise:
    """The noise of a measured candidate."""
    low, high = c.latency_interval.get(statistic, (0.0, math.inf))
    value = c.latency.get(statistic, math.nan)
    rounds = [e.measurement.extra.get("contaminated_rounds", 0.0) for e in c.evidence if e.measurement]
    return Noise((high - low) / value if value else math.nan, int(max(rounds, default=0.0)))


def noisy(decision: Decision) -> list[Candidate]:
    """Measured candidates whose latency is noisy, the noisiest first."""
    known = [(noise_of(c, decision.statistic), c) for c in decision.candidates if c.measured]
    return [c for n, c in sorted(known, key=lambda pair: -pair[0].width) if n.wide]


def disturbed(decision: Decision) -> list[Candidate]:
    """Candidates that stayed disturbed after their blocks were measured again."""
    return [c for c in decision.candidates if c.measured and noise_of(c, decision.statistic).disturbed > 0]
