"""Runs the cells of a study: each replicate a trial, each trial from its record where it has one."""

from __future__ import annotations

import contextlib
import json
import logging
import math
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from src.cli.progress import Watch
from src.common.whole_files import write_text
from src.config.schema import AppConfig, Pruner
from src.pipeline.architecture_cost import Costs
from src.pipeline.context import Context, Inputs
from src.pipeline.one_trial import Trial, trial_of
from src.pipeline.request import OBJECTIVE, SweepRequest
from src.pipeline.trial import run_trial
from src.pipeline.trial_log import finished, finished_and_closed, give_up, paused_at, refuse_trial, save_lost
from src.records.schema import State, TrialRecord
from src.records.store import load
from src.records.sweep_folder import SweepFolder
from src.sweeper.halving import label
from src.sweeper.loop import Outcome
from src.sweeper.pruner import PausedError, PrunedError, standing
from src.sweeper.space import overrides_of
from src.sweeper.study import Cell

log = logging.getLogger(__name__)
FAR = 100_000  # more epochs than any training has: a later replicate's epoch is always further on


class FailureLimitError(Exception):
    """More trials failed than `study.max_failures` allows."""


PROGRESS = "progress.json"


@dataclass
class Progress:
    """How far a running trial is, for whoever watches the sweep from another process."""

    label: str
    state: str = "running"  # or paused, at a rung
    curve: list[float] = field(default_factory=list)  # val mAP50-95 after each epoch of this attempt

    def add(self, value: float, folder: Path) -> None:
        """An epoch ended."""
        self.curve.append(value)
        self.save(folder)

    def save(self, folder: Path) -> None:
        """Leave it where others see it."""
        write_text(folder / PROGRESS, json.dumps(asdict(self)))


def running(folder: Path) -> Iterator[tuple[int, Progress]]:
    """Number and progress of the trials of a sweep that have begun and have no record."""
    for trial in SweepFolder(folder).all_trials():
        path = trial.path / PROGRESS
        if path.is_file() and not trial.record.is_file():
            with contextlib.suppress(OSError, ValueError, TypeError):
                yield int(path.parent.name), Progress(**json.loads(path.read_text(encoding="utf-8")))


@dataclass
class CellRunner:
    """Runs cells for one worker."""

    request: SweepRequest
    context: Context
    inputs: Inputs
    watch: Watch
    costs: Costs
    pictures_wait: bool = False  # until no training is left to take
    on_trained: Callable[[Trial, TrialRecord], None] = lambda trial, record: None

    def run(self, cell: Cell) -> Outcome:
        """Run every replicate of a cell, as long as it can still win; other machines have them before the study does.

        Raises:
            FailureLimitError: too many trials of the sweep have failed.
        """
        with self._exchanged(cell.index):
            return self._run(cell)

    @contextlib.contextmanager
    def _exchanged(self, slot: int) -> Iterator[list[int]]:
        """Have what other machines know of a slot's trials, and let them have what became of these."""
        numbers = [slot * len(self.request.seeds) + i for i in range(len(self.request.seeds))]
        for number in numbers:
            self.context.exchange.fetch(number)
        yield numbers
        for number in numbers:
            self.context.exchange.send(number)

    def _run(self, cell: Cell) -> Outcome:
        goals = self.request.goals
        replicates = list(self._replicates(cell))
        known = self.costs.of(self.request.config_of(replicates[0][1])) if goals.needs_costs else {}
        if broken := goals.broken(known):
            reason = "; ".join(f"{b.name} is {known[b.metric]:.4g}, not {b.words[len(b.name) + 1 :]}" for b in broken)
            for number, words in replicates:
                self._refuse(number, words, "infeasible", f"before training: {reason}", known)
            return Outcome(pruned=True, constraints=goals.excesses([known]))
        if cell.until is not None or cell.reached:
            return self._to_rung(cell, replicates, known)
        records: list[TrialRecord] = []
        hopeless = ""
        for i, (number, words) in enumerate(replicates):
            if hopeless:
                records.append(self._refuse(number, words, "pruned", hopeless, known))
                continue
            records.append(self._replicate(number, words, cell, known))
            hopeless = self._hopeless(cell, i, records[-1])
        return self._judged(records)

    def _to_rung(self, cell: Cell, replicates: Sequence[tuple[int, list[str]]], known: Mapping[str, float]) -> Outcome:
        """Train every replicate to the cell's rung, or from its last one to the end."""
        scores: list[float] = []
        records: list[TrialRecord] = []
        for number, words in replicates:
            try:
                records.append(self._replicate(number, words, cell, known))
            except PausedError as paused:
                record = paused_at(self.context, number)
                assert record is not None
                scores.append(standing(record.history[paused.epoch - 1], OBJECTIVE))
        if not scores:  # all are at their end: trained whole, stopped early, or failed
            return self._judged(records)
        check_failures(self.request.base, self.context.folder)
        # A replicate that has ended early stands by its best epoch, which is what its checkpoint is worth.
        scores += [r.metrics[OBJECTIVE] for r in records if r.state == "complete"]
        return Outcome(paused=math.fsum(scores) / len(scores))

    def give_up(self, slot: int) -> None:
        """Record the trials of a slot that is paused and won't go on."""
        with self._exchanged(slot) as numbers:
            for number in numbers:
                give_up(number, self.context)

    def _judged(self, records: Sequence[TrialRecord]) -> Outcome:
        """What the records of all replicates of a cell are worth."""
        goals = self.request.goals
        check_failures(self.request.base, self.context.folder)
        done = [r.metrics for r in records if r.state == "complete"]
        pruned = any(r.state == "pruned" for r in records)
        return Outcome(() if pruned else goals.values(done), pruned=pruned, constraints=goals.excesses(done))

    def _hopeless(self, cell: Cell, replicate: int, record: TrialRecord) -> str:
        """Why the replicates that are left can't make the configuration win; "" when they can."""
        if record.state == "pruned":
            return "another replicate of the configuration was pruned"
        if self.request.base.study.pruner is Pruner.wilcoxon and record.state == "complete":
            cell.trial.report(record.metrics[OBJECTIVE], replicate)
            if cell.trial.should_prune():
                return "its replicates are worse than those of the best configuration (Wilcoxon's signed-rank test)"
        return ""

    def _refuse(
        self, number: int, words: list[str], state: State, reason: str, known: Mapping[str, float]
    ) -> TrialRecord:
        if (done := finished_and_closed(self.context, number)) is not None:
            self.watch.skip()
            return done
        cfg = self.request.config_of(words)
        record = refuse_trial(
            trial_of(number, words, cfg, self.context, self.inputs, known=known),
            self.context,
            state=state,
            reason=reason,
        )
        self.watch.trial(number, " ".join(words))
        self.watch.finish(outcome(record), epochs_run=0, state=state)
        return record

    def lost(self, slot: int) -> None:
        """Record the trials of a slot whose workers died again and again."""
        with self._exchanged(slot) as numbers:
            for number in numbers:
                if finished(self.context, number) is None:
                    save_lost(number, self.context)

    def _replicates(self, cell: Cell) -> Iterator[tuple[int, list[str]]]:
        seeds = self.request.seeds
        for i, seed in enumerate(seeds):
            number = cell.index * len(seeds) + i
            if number < self.request.trials():
                yield number, [*overrides_of(cell.params), *([f"seed={seed}"] if self.request.space.seeds else [])]

    def _replicate(self, number: int, words: list[str], cell: Cell, known: Mapping[str, float]) -> TrialRecord:
        if (done := finished_and_closed(self.context, number)) is not None:
            self.watch.skip()
            return done
        cfg = self.request.config_of(words)
        until = cell.until if cell.until is not None and cell.until < cfg.epochs else None
        halving = self.request.halving
        before = paused_at(self.context, number) if halving is not None else None
        if before is not None and until is not None and len(before.history) >= until:
            raise PausedError(until)  # its worker died after this replicate
        name = " ".join(words) if halving is None else f"{' '.join(words)} · {label(halving, cell.index, cell.reached)}"
        seen = [row.get(OBJECTIVE, 0.0) for row in before.history] if before else []
        self.watch.trial(number, name, seen)
        # Optuna takes no reports for several objectives, and Wilcoxon's test is given whole replicates.
        by_epoch = self.request.base.study.pruner is not Pruner.wilcoxon and len(self.request.goals.objectives) == 1
        first = number % len(self.request.seeds) == 0

        progress = Progress(name)

        def after_epoch(epoch: int, row: dict[str, float]) -> None:
            if epoch > len(seen):
                self.watch.epoch(epoch, row)
            progress.add(row.get(OBJECTIVE, 0.0), self.context.trial_folder(number))
            # The first replicate alone decides: others would be judged at epochs that it has reported already.
            cell.progress(number % len(self.request.seeds) * FAR + epoch)
            if by_epoch and first:
                cell.trial.report(self._reported(row), epoch)
                if halving is None and cell.trial.should_prune():
                    raise PrunedError(epoch)
            if until is not None and epoch >= until:
                raise PausedError(epoch)

        wait = self.pictures_wait
        trial = trial_of(number, words, cfg, self.context, self.inputs, known=known, pictures_wait=wait)
        try:
            record = run_trial(trial, self.context, after_epoch)
        except PausedError as paused:
            progress.state = "paused"
            progress.save(self.context.trial_folder(number))
            self.context.exchange.send(number)
            self.watch.pause(f"trial {number} · {name}: paused after {paused.epoch} epochs")
            raise
        self.on_trained(trial, record)
        self.watch.finish(outcome(record), epochs_run=len(record.history), state=record.state)
        # Not only with the whole cell: whoever takes it over, after a kill, need not train this replicate again.
        self.context.exchange.send(number)
        return record

    def _reported(self, row: Mapping[str, float]) -> float:
        """A threshold is one of mAP itself; the other pruners compare."""
        if self.request.base.study.pruner is Pruner.threshold:
            return row.get(OBJECTIVE, 0.0)
        return standing(row, OBJECTIVE)


def outcome(record: TrialRecord) -> str:
    """One line on how a trial ended."""
    head = f"trial {record.trial} · {' '.join(record.overrides) or 'single'}"
    if record.state == "failed":
        return f"{head}: FAILED in {record.failures[-1].stage}: {record.failures[-1].message}"
    if record.failures and record.failures[-1].kind == "refused":
        return f"{head}: {record.state}: {record.failures[-1].message}"
    if record.state == "pruned":
        return f"{head}: pruned after {len(record.history)} epochs"
    seconds = sum(record.timings_s.values())
    return f"{head}: val mAP50-95 {record.metrics[OBJECTIVE]:.3f} in {seconds:.0f} s"


def all_records(folder: Path, without: Container[int] = ()) -> list[TrialRecord]:
    """The records of every finished trial of a sweep, by number, but for those of the numbers in `without`."""
    trials = [trial for trial in SweepFolder(folder).all_trials() if trial.record.exists()]
    return [load(TrialRecord, trial.record) for trial in trials if int(trial.path.name) not in without]


def check_failures(cfg: AppConfig, folder: Path) -> None:
    """End the sweep when too many trials have failed.

    Raises:
        FailureLimitError: more than `study.max_failures`.
    """
    if cfg.study.max_failures is None:
        return
    failed = sum(r.state == "failed" for r in all_records(folder))
    if failed > cfg.study.max_failures:
        raise FailureLimitError(f"{failed} trials failed, more than study.max_failures={cfg.study.max_failures} allows")
