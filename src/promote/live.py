"""From the outcome of a live comparison to the aliases: only through the gates that every promotion passes.

A challenger waits under the alias `challenger` (`python -m src.promote sweep=NAME challenger=true`), with the gates it
passed as tags. When its live comparison speaks for it, it is held against the champion and the reference of today once
more, on what was recorded of all three, and the live verdict is one further gate. An outcome that speaks against it
takes the alias away, or restores the champion before, where it has become the champion meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping

from src.common.errors import EXIT_FAILED, EXIT_OK, UserError
from src.config.schema import DecisionConfig
from src.monitor.outcome import Outcome
from src.promote.gates import GateResult, against
from src.promote.recorded_model import RecordedModel, deficit, identity
from src.promote.registry import CHAMPION, Registry
from src.promote.rule import Rule

PASSED = "passed"
# Outcomes of gates that are judged again now, against the champion of now.
AGAIN = ("gate.accuracy_against", "gate.latency_against", "gate.champion", "gate.live")


def conclude(registry: Registry, outcome: Outcome) -> int:
    """Act on an outcome; prints every gate and what became of the aliases; the exit code.

    Args:
        registry: where both models are registered.
        outcome: names them by version.

    Raises:
        UserError: a version is not known, or the champion is another one by now.
    """
    if outcome.advice == "wait":
        print(f"the live comparison is {outcome.verdict}: no alias was moved")
        return EXIT_FAILED
    present = registry.version_of(CHAMPION)
    if outcome.advice == "restore":
        return _restore(registry, outcome, present)
    if present != outcome.champion:
        raise UserError(
            "the champion is not the one of the live comparison any more",
            value=f"version {present}, compared with {outcome.champion}",
            remedy="a new comparison against the champion of now",
        )
    gates, better = gates_of(registry, outcome)
    for gate in gates:
        print(f"{'pass' if gate.passed else 'FAIL'}  {gate.name}: {gate.said}")
    registry.tag(outcome.challenger, gates, {"experiment": outcome.experiment})
    if not all(g.passed for g in gates):
        print(f"version {outcome.challenger}: no alias was moved")
        return EXIT_FAILED
    registry.promote(outcome.challenger, reference=better)
    registry.end_challenge(outcome.challenger)
    print(f"version {outcome.challenger}: is the champion now; the reference is version {registry.reference()}")
    return EXIT_OK


def gates_of(registry: Registry, outcome: Outcome) -> tuple[list[GateResult], bool]:
    """Every gate of a challenger today, and whether it may become the reference."""
    own = _own(registry, outcome.challenger)
    rule = rule_of(registry.tags_of(outcome.challenger))
    challenger, champion = registry.recorded(outcome.challenger), registry.recorded(outcome.champion)
    fixed = registry.reference() or outcome.champion
    reference = champion if fixed == outcome.champion else registry.recorded(fixed)
    judged = against(challenger, champion, reference, _counted(registry, reference, challenger, rule))
    live = GateResult("live", outcome.verdict in ("better", "non-inferior"), outcome.said)
    return [*own, *judged.gates, live], judged.better


def rule_of(tags: Mapping[str, str]) -> Rule:
    """What the decision held a version to; the defaults for one that was registered before that was noted."""
    known = DecisionConfig()
    return Rule(float(tags.get("margin", known.margin)), float(tags.get("confidence", known.confidence)))


def _counted(registry: Registry, reference: RecordedModel, challenger: RecordedModel, rule: Rule) -> Rule:
    """The rule at this use of the test split; the same comparison as at the registration is no further one."""
    if deficit(reference, challenger) is None:
        return rule
    return Rule(rule.margin, rule.confidence, registry.use_of(challenger.split, identity(reference, challenger)))


def _own(registry: Registry, version: str) -> list[GateResult]:
    """Gates that a version met or failed by itself when it was registered.

    Raises:
        UserError: it has none: it was not registered by a promotion.
    """
    tags = registry.tags_of(version)
    own = {k: v for k, v in tags.items() if k.startswith("gate.") and not k.startswith(AGAIN)}
    if not own:
        raise UserError(
            "a version was not registered by a promotion, so it has passed no gate",
            value=f"version {version}",
            remedy="python -m src.promote sweep=NAME challenger=true",
        )
    return [
        GateResult(k.removeprefix("gate.").replace("_", " "), v.startswith(PASSED), v.partition(": ")[2])
        for k, v in sorted(own.items())
    ]


def _restore(registry: Registry, outcome: Outcome, present: str | None) -> int:
    """Take a challenger away; where it is the champion, the one before is restored."""
    ended = registry.end_challenge(outcome.challenger)
    if present == outcome.challenger:
        restored, replaced = registry.rollback()
        print(f"champion is version {restored} again (was {replaced}, now previous): {outcome.said}")
        return EXIT_OK
    what = "is no challenger any more" if ended else "doesn't wait as the challenger, so no alias was moved"
    print(f"version {outcome.challenger} {what}; the champion stays version {present}")
    print(outcome.said)
    return EXIT_OK
