"""What a live comparison says: with labels a verdict on F1, without them agreement and latency, named as such.

Confidence is no accuracy: a model that is sure of its mistakes has much of it. So it appears nowhere here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from src.monitor.f1 import Difference
from src.monitor.plan import CHALLENGER, CHAMPION, ExperimentPlan
from src.monitor.sequence import FEWEST
from src.monitor.tally import Arm, Tally

BETTER, WITHIN, WORSE, OPEN = "better", "non-inferior", "worse", "open"


@dataclass(frozen=True)
class ArmFacts:
    """One model in the comparison."""

    model: str
    images: int  # answered or failed
    labelled: int
    f1: float  # on its labelled images; NaN without any
    failed: float  # share of its images
    latency_ms: dict[str, float]  # p50, p90, p99


@dataclass(frozen=True)
class LiveVerdict:
    """What can be said of a challenger now."""

    word: str  # better, non-inferior, worse, open
    plan: ExperimentPlan
    champion: ArmFacts
    challenger: ArmFacts
    difference: Difference  # in F1
    agreement: float  # F1 of one model's detections against the other's; NaN unless both answered
    both: int  # images that both answered
    share: float  # of the challenger now
    stopped: str  # why it was taken away; "" while it runs

    @property
    def advice(self) -> str:
        """`promote`, `restore` or `wait`."""
        if self.stopped or self.word == WORSE:
            return "restore"
        return "promote" if self.word in (BETTER, WITHIN) else "wait"

    @property
    def said(self) -> str:
        """The verdict as a sentence."""
        d, margin, level = self.difference, self.plan.margin, f"{self.plan.confidence:.0%}"
        few = min(self.champion.labelled, self.challenger.labelled)
        if few < FEWEST:
            return (
                f"No verdict: {few} labelled images of the model with fewer, and nothing is claimed below {FEWEST}. "
                "Agreement and latency say nothing about accuracy."
            )
        interval = f"F1 difference {d.value:+.3f} [{d.low:+.3f}; {d.high:+.3f}] over {d.images} labelled images"
        return {
            BETTER: f"The challenger is better: {interval}; at least {d.at_least:+.3f} with {level} confidence.",
            WITHIN: f"The challenger is at most the margin of {margin:g} worse: {interval}; at least "
            f"{d.at_least:+.3f} with {level} confidence.",
            WORSE: f"The challenger is worse: {interval}; at most {d.at_most:+.3f} with {level} confidence.",
            OPEN: f"Open: {interval}. More labels will tell.",
        }[self.word]


def word_of(found: Difference, margin: float) -> str:
    """The verdict that bounds allow; a worse challenger within the margin is non-inferior."""
    if found.at_least > 0:
        return BETTER
    if found.at_least > -margin:
        return WITHIN
    return WORSE if found.at_most < 0 else OPEN


def verdict_of(tally: Tally) -> LiveVerdict:
    """What a state says."""
    plan, labelled = tally.plan, tally.labelled
    found = labelled.difference(plan.alpha)
    return LiveVerdict(
        word=word_of(found, plan.margin),
        plan=plan,
        champion=_facts(plan.champion, tally.arms[CHAMPION], labelled.champion.images, labelled.champion.f1),
        challenger=_facts(plan.challenger, tally.arms[CHALLENGER], labelled.challenger.images, labelled.challenger.f1),
        difference=found,
        agreement=tally.agreeing / tally.answered if tally.answered else (1.0 if tally.both else math.nan),
        both=tally.both,
        share=tally.share,
        stopped=tally.stopped,
    )


def _facts(model: str, arm: Arm, labelled: int, f1: float) -> ArmFacts:
    values = np.array(arm.latencies, np.float64)
    names = {"p50": 0.5, "p90": 0.9, "p99": 0.99} if len(values) else {}
    latency = {name: float(np.quantile(values, q)) for name, q in names.items()}
    return ArmFacts(model, arm.images, labelled, f1, arm.failed, latency)
