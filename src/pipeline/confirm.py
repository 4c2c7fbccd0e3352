"""Confirmation: the best configurations are trained again with fresh seeds, before test is opened.

The best of many looks better than it is: it was chosen for having been lucky on these seeds (Cawley and Talbot, "On
over-fitting in model selection and subsequent selection bias in performance evaluation", JMLR 11, 2010). Seeds that
took no part in the choice have no such bias. So with `decision.confirm_seeds=N` what the report says of a configuration
rests on N fresh replicates of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from src.cli.progress import Watch
from src.pipeline.architecture_cost import Costs
from src.pipeline.context import Context, Inputs
from src.pipeline.one_trial import trial_of
from src.pipeline.request import SweepRequest
from src.pipeline.selection import choose, typical
from src.pipeline.study_trials import outcome
from src.pipeline.trial import run_trial
from src.pipeline.trial_log import begun_as, finished_and_closed, numbers_begun
from src.records.schema import Role, TrialRecord


def confirm(
    request: SweepRequest, records: Sequence[TrialRecord], context: Context, inputs: Inputs
) -> list[TrialRecord]:
    """Train the fresh replicates that are missing, and return all of them that belong to today's finalists.

    Args:
        request: of the sweep.
        records: every finished trial of the search.
        context: of the sweep.
        inputs: datasets and starting weights.
    """
    count = request.base.decision.confirm_seeds
    if not count:
        return []
    finalists = choose(records, request.base.decision.finalists, request.goals)
    seeds = fresh_seeds(records, count)
    wanted = [(finalist, seed) for finalist in finalists for seed in seeds]
    numbers = _numbers(request, records, context, wanted)
    with Watch(len(wanted), request.base.epochs, minutes=request.base.training.minutes) as watch:
        watch.say(f"confirming {len(finalists)} configuration(s) with the fresh seeds {', '.join(map(str, seeds))}")
        return [
            run_replicate(request, finalist, seed, number, context, inputs, watch)
            for (finalist, seed), number in zip(wanted, numbers, strict=True)
        ]


def fresh_seeds(records: Sequence[TrialRecord], count: int) -> list[int]:
    """Seeds that no trial of the search was trained with: those that follow the largest."""
    first = max(r.seed for r in records) + 1
    return list(range(first, first + count))


def shipped(finalists: Sequence[TrialRecord], records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The replicate of each chosen configuration that is exported: of its fresh ones, where it has any."""
    fresh: dict[str, list[TrialRecord]] = defaultdict(list)
    for record in records:
        if record.role == "confirm" and record.state == "complete":
            fresh[record.config_id].append(record)
    return [typical(fresh[f.config_id]) if fresh[f.config_id] else f for f in finalists]


def _numbers(
    request: SweepRequest,
    records: Sequence[TrialRecord],
    context: Context,
    wanted: Sequence[tuple[TrialRecord, int]],
) -> Iterator[int]:
    """A trial number for each replicate: the one that it has begun under, else the next free one."""
    taken = dict(begun_as(context, "confirm"))  # (config_id, seed) -> number
    free = max([request.trials() - 1, *numbers_begun(context)]) + 1
    for finalist, seed in wanted:
        number = taken.get((finalist.config_id, seed))
        if number is None:
            number, free = free, free + 1
        yield number


def run_replicate(
    request: SweepRequest,
    template: TrialRecord,
    seed: int,
    number: int,
    context: Context,
    inputs: Inputs,
    watch: Watch,
    role: Role = "confirm",
) -> TrialRecord:
    """Train the configuration of a trial with another seed, unless that is done; returns the record.

    Args:
        request: of the sweep.
        template: a trial of the configuration.
        seed: of the new one.
        number: of the new one.
        context: of the sweep.
        inputs: datasets and starting weights.
        watch: shows the progress.
        role: confirm, or replicate.
    """
    context.exchange.fetch(number)
    if (done := finished_and_closed(context, number)) is not None:
        watch.skip()
        return done
    words = [*(w for w in template.overrides if w.split("=")[0] != "seed"), f"seed={seed}"]
    cfg = request.config_of(words)
    known = Costs(request, context, inputs).of(cfg) if request.goals.needs_costs else {}
    watch.trial(number, " ".join(words))
    trial = trial_of(number, words, cfg, context, inputs, role=role, known=known)
    record = run_trial(trial, context, watch.epoch)
    context.exchange.send(number)
    watch.finish(outcome(record), epochs_run=len(record.history), state=record.state)
    return record
