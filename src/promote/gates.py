"""Gates between a recommended model and the alias `champion`: pure functions on what was recorded of both.

A challenger that isn't clearly worse than the last champion may still be worse, and ten of them in a row wear a
champion down. So each must be shown to be non-inferior to a reference that stays where it is: the first champion, or
the last one that was clearly better than the reference before it. The one-sided bound of its deficit on the same test
images must lie within the decision's margin (Piaggio et al., JAMA 308, 2012); too few images are no evidence for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from src.decide.choice import Decision
from src.decide.limits import limits_of
from src.decide.notes import Note
from src.decide.signal import signal_of
from src.decide.uncertainty import Gap
from src.decide.verdict import Verdict, verdict
from src.promote.recorded_model import RecordedModel, deficit
from src.promote.rule import MOST_USES, Rule, images_needed
from src.records.schema import TrialRecord
from src.records.tiling import recorded
from src.report.text import catalogue

SLOWER = 1.10  # times the champion's latency from which a model without clearly better accuracy is refused
FASTER = 0.95  # times the champion's latency from which a model may be worse than it, within the margin


@dataclass(frozen=True)
class GateResult:
    """A condition for promotion, and whether it was met."""

    name: str
    passed: bool
    said: str


@dataclass(frozen=True)
class Judgement:
    """A challenger against the champion and the reference."""

    gates: list[GateResult]
    better: bool  # clearly better than the reference: it may become the next one

    @property
    def passed(self) -> bool:
        """Whether every gate was met."""
        return all(g.passed for g in self.gates)


def own_gates(decision: Decision, accept: str = "approve") -> list[GateResult]:
    """Gates that the recommended model meets or fails by itself.

    Args:
        decision: on the sweep.
        accept: `conditional` takes a model although conditions of its verdict are not met.
    """
    judged, winner = verdict(decision), decision.recommended
    if winner is None:
        return [GateResult("verdict", False, f"the verdict is {judged.word} and nothing is recommended")]
    broken = [x.key for x in limits_of(winner, decision.settings) if not x.holds]
    return [
        _verdict(judged, accept),
        _detects(decision),
        GateResult("limits", not broken, f"breaks {', '.join(broken)}" if broken else "every hard limit holds"),
        GateResult(
            "accuracy", winner.gate not in (None, "fail"), f"accuracy after export: {winner.gate or 'not verified'}"
        ),
        GateResult("latency", winner.measured, "measured" if winner.measured else "its latency was not measured"),
        *_served_as_judged(winner.best.trial),
    ]


def _served_as_judged(trial: TrialRecord) -> list[GateResult]:
    """A model that was judged by tiles finds less without them, and the service looks at whole pictures."""
    tiling = recorded(trial.config)
    if tiling is None:
        return []
    way = f"python -m src.predict tile={tiling.size} overlap={tiling.overlap:g} merge={tiling.merge} runs it as judged"
    return [GateResult("tiles", False, f"judged by tiles of {tiling.size} px, which the service does not cut; {way}")]


def _verdict(judged: Verdict, accept: str) -> GateResult:
    """Approved, or conditional where the user takes it with its conditions."""
    if judged.word != "conditional":
        return GateResult("verdict", judged.word == "approve", f"the verdict is {judged.word}")
    accepted = accept == "conditional"
    said = f"the verdict is conditional: {said_of(judged.conditions)}"
    return GateResult("verdict", accepted, said if accepted else f"{said} (accept=conditional takes it as it is)")


def said_of(notes: Sequence[Note]) -> str:
    """Notes of a verdict as sentences."""
    words = catalogue("en")
    return " ".join(words.say(n) for n in notes)


def _detects(decision: Decision) -> GateResult:
    found = signal_of(decision)
    assert found is not None
    interval = f" [{found.low:.3f}; {found.high:.3f}]" if math.isfinite(found.low) else ""
    said = f"mAP50-95 {found.value:.3f}{interval} on {found.split}; {found.floor:g} counts as nothing"
    return GateResult("learnt", found.found, said)


def against(challenger: RecordedModel, champion: RecordedModel, reference: RecordedModel, rule: Rule) -> Judgement:
    """Gates against the present champion and the reference: paired accuracy on test, latency on the same machine.

    Args:
        challenger: what would become the champion.
        champion: the one of now.
        reference: the fixed one; it may be the champion.
        rule: margin and confidence, and how often the test split was used.
    """
    if champion.sha256 == challenger.sha256:
        return Judgement([GateResult("champion", False, "this artifact is the champion already")], False)
    to_champion, to_reference = deficit(champion, challenger), deficit(reference, challenger)
    images = challenger.evaluation.n_images if challenger.evaluation else 0
    faster = _alike(champion, challenger) and challenger.latency_ms <= FASTER * champion.latency_ms
    better = _ahead(to_reference, rule)
    gates = [
        _non_inferior(to_reference, images, rule),
        _not_worse(to_champion, rule, faster),
        _latency("champion", champion, challenger, _ahead(to_champion, rule)),
    ]
    if reference.sha256 != champion.sha256 and _alike(reference, challenger):
        gates.append(_latency("reference", reference, challenger, better))
    return Judgement(gates, better)


def _ahead(found: Gap | None, rule: Rule) -> bool:
    """A clear lead. It lets a model be slower or become the reference, so all uses of the split share its error too."""
    return found is not None and not rule.worn and found.bounds(rule.level)[1] < 0


def _non_inferior(found: Gap | None, images: int, rule: Rule) -> GateResult:
    """Shown to be at most the margin worse than the reference."""
    name = "accuracy against reference"
    if found is None:
        return GateResult(name, False, "no evaluation of both on the same test split")
    if rule.worn:
        return GateResult(
            name, False, f"the test split has judged {MOST_USES} challengers: a fresh test split is needed"
        )
    bound = found.bounds(rule.level)[1]
    worst = f"at most {bound:.4f} worse" if bound >= 0 else f"at least {-bound:.4f} better"
    said = (
        f"mAP50-95 on test {0 - found.delta:+.4f} against the reference, {worst} at "
        f"{100 * rule.level:.4g} % (use {rule.use} of this test split); the margin is {rule.margin:g}"
    )
    passed = bound <= rule.margin
    return GateResult(name, passed, said if passed else f"{said}; {_missing(found, images, rule)}")


def _missing(found: Gap, images: int, rule: Rule) -> str:
    """What would show it."""
    needed = images_needed(found, images, rule)
    if needed is None:
        return "it looks worse by the margin or more, which more images would hardly mend"
    return f"a fresh test split of about {needed:,} images could show it ({images:,} now)"


def _not_worse(found: Gap | None, rule: Rule, faster: bool) -> GateResult:
    """Not established to be worse than the present champion, unless it is faster and shown to be within the margin.

    This gate only refuses, so it doesn't share its confidence with other uses of the split.
    """
    name = "accuracy against champion"
    if found is None:
        return GateResult(name, False, "no evaluation of both on the same test split")
    low, high = found.bounds(rule.confidence)
    said = f"mAP50-95 on test {0 - found.delta:+.4f} [{0 - high:+.4f}; {0 - low:+.4f}] against the champion"
    if low <= 0:
        return GateResult(name, True, said)
    if faster and high <= rule.margin:
        return GateResult(name, True, f"{said}: worse within the margin, and faster")
    return GateResult(name, False, f"{said}: established to be worse")


def _alike(old: RecordedModel, new: RecordedModel) -> bool:
    """Whether two latencies may be compared."""
    same = (old.host, old.statistic, old.conditions) == (new.host, new.statistic, new.conditions)
    return same and math.isfinite(old.latency_ms) and math.isfinite(new.latency_ms)


def _latency(whom: str, old: RecordedModel, new: RecordedModel, better: bool) -> GateResult:
    name = f"latency against {whom}"
    if (old.host, old.statistic, old.conditions) != (new.host, new.statistic, new.conditions):
        return GateResult(name, False, "measured on another machine or under other conditions: measure both alike")
    if not _alike(old, new):
        return GateResult(name, False, "one of the two was not measured")
    ratio = new.latency_ms / old.latency_ms
    said = f"{new.statistic} {new.latency_ms:.2f} ms, {ratio:.2f} times the {whom}'s"
    return GateResult(name, ratio <= SLOWER or better, said)
