"""Gates between a recommended model and the alias `champion`: pure functions on what was recorded of both."""

from __future__ import annotations

import math
from dataclasses import dataclass

from src.common.statistics import CONFIDENCE
from src.decide.choice import Decision
from src.decide.judgement import paired_gap
from src.decide.limits import limits_of
from src.decide.signal import signal_of
from src.decide.speed import cost
from src.decide.verdict import verdict
from src.records import EvaluationRecord, hash_of

SLOWER = 1.10  # times the champion's latency from which a model without clearly better accuracy is refused


@dataclass(frozen=True)
class Gate:
    """A condition for promotion, and whether it was met."""

    name: str
    passed: bool
    said: str


@dataclass(frozen=True)
class Standing:
    """What is kept of a promoted model, to hold the next one against it."""

    sha256: str
    host: str
    latency_ms: float  # NaN when not measured
    statistic: str
    conditions: str  # hash of runtime device, batch and scope: latencies under others are not compared
    evaluation: EvaluationRecord | None  # on test


def standing_of(ranking: Decision) -> Standing:
    """The standing of the recommended model; there must be one."""
    winner = ranking.recommended
    assert winner is not None
    best = winner.best
    finalist = ranking.saved.finalists[best.trial.trial]
    m = best.measurement
    return Standing(
        sha256=best.artifact.sha256 if best.artifact else "",
        host=finalist.environment.host if finalist.environment else "",
        latency_ms=cost(winner, ranking.statistic) if winner.measured else math.nan,
        statistic=ranking.statistic,
        conditions=hash_of([m.device, m.batch, m.scope, m.threads]) if m else "",
        evaluation=best.test_depth,
    )


def own_gates(ranking: Decision) -> list[Gate]:
    """Gates that the recommended model meets or fails by itself."""
    judged, winner = verdict(ranking), ranking.recommended
    if winner is None:
        return [Gate("verdict", False, f"the verdict is {judged.word} and nothing is recommended")]
    broken = [x.key for x in limits_of(winner, ranking.settings) if not x.holds]
    return [
        Gate("verdict", judged.word != "reject", f"the verdict is {judged.word}"),
        _detects(ranking),
        Gate("limits", not broken, f"breaks {', '.join(broken)}" if broken else "every hard limit holds"),
        Gate("accuracy", winner.gate not in (None, "fail"), f"accuracy after export: {winner.gate or 'not verified'}"),
        Gate("latency", winner.measured, "measured" if winner.measured else "its latency was not measured"),
    ]


def _detects(ranking: Decision) -> Gate:
    found = signal_of(ranking)
    assert found is not None
    interval = f" [{found.low:.3f}; {found.high:.3f}]" if math.isfinite(found.low) else ""
    said = f"mAP50-95 {found.value:.3f}{interval} on {found.split}; {found.floor:g} counts as nothing"
    return Gate("learnt", found.found, said)


def against(champion: Standing, challenger: Standing) -> list[Gate]:
    """Gates against the reigning champion: paired accuracy on test, latency on the same machine."""
    if champion.sha256 == challenger.sha256:
        return [Gate("champion", False, "this artifact is the champion already")]
    accuracy, better = _accuracy(champion.evaluation, challenger.evaluation)
    return [accuracy, _latency(champion, challenger, better)]


def _accuracy(old: EvaluationRecord | None, new: EvaluationRecord | None) -> tuple[Gate, bool]:
    """Not clearly worse on the same images; also says whether it is clearly better."""
    found = paired_gap(new, old)
    if found is None:
        return Gate("accuracy against champion", False, "no evaluation of both on the same test split"), False
    low, high = found.bounds(0.5 + CONFIDENCE / 2)
    said = f"mAP50-95 on test {found.delta:+.4f} [{low:+.4f}; {high:+.4f}] against the champion"
    return Gate("accuracy against champion", high >= 0, said), low > 0


def _latency(old: Standing, new: Standing, better: bool) -> Gate:
    name = "latency against champion"
    if (old.host, old.statistic, old.conditions) != (new.host, new.statistic, new.conditions):
        return Gate(name, False, "measured on another machine or under other conditions: measure both alike")
    if not (math.isfinite(old.latency_ms) and math.isfinite(new.latency_ms)):
        return Gate(name, False, "one of the two was not measured")
    ratio = new.latency_ms / old.latency_ms
    said = f"{new.statistic} {new.latency_ms:.2f} ms, {ratio:.2f} times the champion's"
    return Gate(name, ratio <= SLOWER or better, said)
