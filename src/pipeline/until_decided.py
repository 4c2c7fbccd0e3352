"""`study.until=decided`: further seeds, one after the other, until no cheaper model is left open or the bound is spent.

What was measured says which models are cheaper, so this comes after the finalists' measurement and before test is
opened. Every look at the evidence is saved with the share of the bound that was spent, from which the level of every
later reading follows (`src.decide.looks`). What is next follows from the saved records alone: a process that goes on
after a kill finishes the training that had begun, looks again, and goes on as the first one would have.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from src.cli.progress import Watch
from src.common.errors import UserError
from src.config.schema import StudyConfig
from src.decide.choice import Comparison, Decision, decide
from src.decide.load import Saved, load_sweep
from src.decide.looks import Look, used_share
from src.decide.next_training import Step, compared, next_training
from src.decide.open_questions import undecided_speed
from src.pipeline.confirm import run_replicate
from src.pipeline.context import Context, Inputs
from src.pipeline.request import SweepRequest
from src.pipeline.trial_log import begun, numbers_begun
from src.records.schema import Role, SweepRecord, TrialRecord
from src.records.store import save

ROLE: Role = "replicate"
MOST_FAILURES = 2  # failed further seeds of one configuration; it gets no more


def check_until(request: SweepRequest) -> None:
    """Refuse a bound that the search alone would break.

    Raises:
        UserError: `study.max_trainings` is smaller than the search.
    """
    study = request.base.study
    if study.until == "decided" and study.max_trainings is not None and study.max_trainings < request.trials():
        raise UserError(
            f"study.max_trainings counts the search's own trainings, which are {request.trials()}",
            value=study.max_trainings,
            remedy=f"study.max_trainings={2 * request.trials()}, or another number above {request.trials()}",
        )


@dataclass(frozen=True)
class Budget:
    """What is spent and left of the bound."""

    trainings: int  # finished ones of the sweep, failed ones too
    left: int  # trainings that still fit
    used: str  # trainings | hours: which bound it is that is reached first

    @classmethod
    def of(cls, study: StudyConfig, trials: Sequence[TrialRecord]) -> Budget:
        """The budget after these trials. Hours are those that the records say, so that they survive a kill."""
        trained = [t for t in trials if t.state != "infeasible"]
        by_count = math.inf if study.max_trainings is None else study.max_trainings - len(trained)
        hours = math.fsum(math.fsum(t.timings_s.values()) for t in trained) / 3600
        by_hours = math.inf
        if study.max_hours is not None:
            left, each = study.max_hours - hours, hours / max(1, len(trained))
            by_hours = left / each if each > 0 else math.inf if left > 0 else 0.0
        left = max(0.0, min(by_count, by_hours))
        return cls(len(trained), int(min(left, 1e9)), "hours" if by_hours < by_count else "trainings")


def until_decided(request: SweepRequest, record: SweepRecord, context: Context, inputs: Inputs) -> SweepRecord:
    """Train further seeds until the decision is settled; nothing unless the study asks for it.

    Args:
        request: of the sweep.
        record: of the sweep.
        context: of the sweep.
        inputs: datasets and starting weights.

    Returns:
        The sweep's record with every look.
    """
    if request.base.study.until != "decided":
        return record
    with Watch(0, request.base.epochs, minutes=request.base.training.minutes) as watch:
        _finish_begun(request, context, inputs, watch)
        while True:
            saved = load_sweep(context.folder)
            record, step, decision = _look(request, record, saved)
            save(context.places.record, record)
            watch.say(_said(record.looks[-1]))
            if not step.config_id:
                return record
            template, seed = _next_seed(decision, step.config_id)
            number = max([request.trials() - 1, *numbers_begun(context)]) + 1
            run_replicate(request, template, seed, number, context, inputs, watch, role=ROLE)


def _finish_begun(request: SweepRequest, context: Context, inputs: Inputs, watch: Watch) -> None:
    """Go on with the training that a killed process had begun."""
    for record in [r for r in begun(context) if r.role == ROLE]:
        run_replicate(request, record, record.seed, record.trial, context, inputs, watch, role=ROLE)


def _look(request: SweepRequest, record: SweepRecord, saved: Saved) -> tuple[SweepRecord, Step, Decision]:
    """One look at what is known: the record with it, and what comes next."""
    budget = Budget.of(request.base.study, saved.trials)
    # A look that a killed process has saved is made again, and comes out the same.
    earlier = [look for look in record.looks if look["trainings"] < budget.trainings]
    share = used_share(_compared_trainings(saved), budget.left)
    at_hand = replace(saved, sweep=replace(record, looks=[*earlier, {"trainings": budget.trainings, "share": share}]))
    decision = decide(at_hand, request.base.decision)
    step = next_training(decision, budget.left, _exhausted(saved.trials))
    if step.config_id and budget.left < 1:
        step = Step(stopped=budget.used)
    look = _look_of(decision, earlier, budget.trainings, share, step)
    return replace(record, looks=[*earlier, look]), step, decision


def _compared_trainings(saved: Saved) -> int:
    """Complete trainings of the finalists' configurations: what the evidence grows by."""
    names = {f.config_id for f in saved.finalists.values()}
    fresh = {t.config_id for t in saved.trials if t.role == "confirm" and t.state == "complete"}
    own = [t for t in saved.trials if t.config_id in names and t.state == "complete"]
    return sum(t.role != ("search" if t.config_id in fresh else "confirm") for t in own)


def _exhausted(trials: Sequence[TrialRecord]) -> set[str]:
    lost = Counter(t.config_id for t in trials if t.role == ROLE and t.state != "complete")
    return {name for name, count in lost.items() if count >= MOST_FAILURES}


def _look_of(decision: Decision, earlier: Sequence[Look], trainings: int, share: float, step: Step) -> Look:
    """What a look found, as it is saved: open questions, and what became of those of the look before."""
    before = {q["candidate"] for q in earlier[-1]["questions"]} if earlier else set()
    asked = [c for c in compared(decision) if c.deficit.status == "open" or c.other.label in before]
    return {
        "trainings": trainings,
        "share": share,
        "level": decision.level,
        "recommended": decision.recommended.label if decision.recommended else "",
        "questions": [_question(c) for c in asked],
        "speed": [c.label for c in undecided_speed(decision)],
        "next": step.config_id,
        "stopped": step.stopped,
    }


def _question(c: Comparison) -> dict[str, Any]:
    def known(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return {
        "candidate": c.other.label,
        "rival": c.rival.label,
        "config_id": c.other.configuration.config_id,
        "rival_id": c.rival.configuration.config_id,
        "delta": c.deficit.delta,
        "low": known(c.deficit.low),
        "high": known(c.deficit.high),
        "status": c.deficit.status,
    }


def _said(look: Look) -> str:
    """A line for the terminal."""
    still = sum(q["status"] == "open" for q in look["questions"])
    head = f"after {look['trainings']} trainings {still} question(s) open"
    reasons = {
        "decided": "the decision is settled",
        "trainings": "study.max_trainings is spent",
        "hours": "study.max_hours is spent",
        "seeds": "further seeds can't settle them",
        "speed": f"every accuracy is settled, but not the speed against {', '.join(look.get('speed', []))}",
    }
    return f"{head}: {reasons[look['stopped']]}" if look["stopped"] else f"{head}: a further seed is trained"


def _next_seed(decision: Decision, config_id: str) -> tuple[TrialRecord, int]:
    """A trial of the configuration, and a seed that neither it nor the search was trained with."""
    own = [t for t in decision.saved.trials if t.config_id == config_id]
    taken = [t.seed for t in decision.saved.trials if t.config_id == config_id or t.role == "search"]
    return own[0], max(taken) + 1
