"""The study: hands out configurations, each to one worker, and remembers in its storage what they were worth.

A configuration is an Optuna trial; its seeds are replicates, and its value is the mean over them. The budget is
laid out beforehand as *slots*, trials that wait: taking one is atomic in every storage of Optuna's, so that any
number of workers, on any number of machines, run exactly as many configurations as were asked for. A grid is a
study whose slots have their values already; otherwise the sampler gives them when a slot is taken. A slot whose
worker died is failed in Optuna and laid out again with the same values, under the same index: files are keyed by
it, so that its work goes on.
"""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from src.sweeper.halving import Halving
from src.sweeper.lease import Lease
from src.sweeper.requeue import AFTER, ENDED, LEASE, MARK, SCORES, SLOT, UNFINISHED, Requeue
from src.sweeper.rungs import Rungs
from src.sweeper.sampler import is_reseeded, make_sampler, suggest
from src.sweeper.space import Space
from src.sweeper.storage import STUDY, quiet, unhurried

MOST_AHEAD = 16  # slots among which a worker chooses that has lost one to another
MOST_REPEATS = 20  # times the sampler may repeat itself before a finite space is searched for what is left


@dataclass(frozen=True)
class Cell:
    """One configuration that this worker has taken."""

    index: int  # slot; counts configurations from 0
    number: int  # Optuna's trial number
    params: dict[str, Any]
    trial: optuna.Trial
    until: int | None = None  # epochs after which it is paused; None = it is trained to the end
    reached: int = 0  # rungs before

    def progress(self, mark: int) -> None:
        """Say how far the work is, in a number that only grows: a worker that dies further on is no hopeless case."""
        self.trial.set_user_attr(MARK, mark)


class Study:
    """A study that several workers share.

    Args:
        storage: where it lives.
        space: what to search.
        sampler: configuration of an Optuna sampler, as in `hydra/sweeper/sampler`.
        budget: configurations to hand out; None hands out every cell of the (finite) space.
        pruner: stops trials that can't win; None never does.
        halving: pauses configurations at rungs, and says which go on.
        maximize: per objective, whether higher is better.
        seed: of what is left to chance beside the sampler.
        name: of the study in the storage.
    """

    def __init__(
        self,
        storage: BaseStorage,
        space: Space,
        sampler: Mapping[str, Any],
        budget: int | None,
        *,
        pruner: optuna.pruners.BasePruner | None = None,
        halving: Halving | None = None,
        maximize: Sequence[bool] = (True,),
        name: str = STUDY,
        seed: int = 0,
    ) -> None:
        quiet()
        self._storage, self._space, self._seed = storage, space, seed
        self._spread, self._ahead = random.Random(), 1  # slots among which the next one is chosen
        self._sampler_config = dict(sampler)
        self._is_grid = budget is None
        self.budget = min(b for b in (budget, space.size()) if b is not None)
        self._directions = [StudyDirection.MAXIMIZE if up else StudyDirection.MINIMIZE for up in maximize]
        self._study = self._open(storage, name, None if self._is_grid else make_sampler(sampler, space), pruner)
        self._trials = Requeue(self._study, storage, space, self._is_grid)
        self._rungs = None if halving is None else Rungs(self._study, storage, self._trials, halving)

    def _open(
        self,
        storage: BaseStorage,
        name: str,
        sampler: optuna.samplers.BaseSampler | None,
        pruner: optuna.pruners.BasePruner | None,
    ) -> optuna.Study:
        pruner = pruner or optuna.pruners.NopPruner()
        try:
            return optuna.create_study(
                storage=storage, study_name=name, sampler=sampler, pruner=pruner, directions=self._directions
            )
        except DuplicatedStudyError:
            return optuna.load_study(storage=storage, study_name=name, sampler=sampler, pruner=pruner)

    def lay_out(self) -> None:
        """Lay out the slots that are missing. The caller holds the sweep's lock; another machine's twins are ended."""
        trials = self._trials.all()
        dropped = {t.number: t.user_attrs[SLOT] for t in trials if t.user_attrs.get(ENDED) in UNFINISHED}
        dropped = {number: slot for number, slot in dropped.items() if trials[number].state.is_finished()}
        known = {t.user_attrs[SLOT] for t in trials if t.number not in dropped}
        last = {slot: {AFTER: number} for number, slot in dropped.items()}
        cells = self._space.cells() if self._is_grid else iter([{}] * self.budget)
        with unhurried(self._storage):
            for slot, params in enumerate(cells):
                if slot not in known:
                    self._study.enqueue_trial(params, user_attrs={SLOT: slot, **last.get(slot, {})})

    def claim(self) -> Cell | None:
        """Take the next slot; None when none is waiting (others may still be at work, see `unfinished`)."""
        while (waiting := self._next(self._spread.randrange(self._ahead))) is not None:
            if self._trials.is_double(waiting):
                self._trials.end(waiting, "double")
            elif not self._win(waiting):
                # Of workers that all go for the next one most lose again. A sampler is asked in order all the same.
                self._ahead = MOST_AHEAD if self._is_grid and self._rungs is None else 1
            elif (cell := self._take(waiting)) is not None:
                self._ahead = max(self._ahead - 1, 1)
                return cell
        return None

    def _win(self, frozen: FrozenTrial) -> bool:
        """Make a waiting trial this worker's own; False when another was quicker."""
        try:
            return self._storage.set_trial_state_values(frozen._trial_id, TrialState.RUNNING)
        except UpdateFinishedTrialError:
            return False

    def _next(self, ahead: int) -> FrozenTrial | None:
        """A fresh one first: what goes on is chosen from as many as have begun, so that few are trained in vain."""
        return self._trials.waiting(ahead) or (self._rungs.next() if self._rungs else None)

    def _take(self, frozen: FrozenTrial) -> Cell | None:
        """Give a trial that is this worker's its values; None when they were only a repeat."""
        trial = optuna.Trial(self._study, frozen._trial_id)
        trial.set_user_attr(LEASE, Lease.own().plain())
        slot = int(frozen.user_attrs[SLOT])
        self._reseed(slot)
        params = {name: suggest(trial, name, d) for name, d in self._space.params.items()}
        if not self._is_grid and not frozen.user_attrs.get("fixed") and self._trials.is_repeat(trial, params):
            self._instead_of(trial, slot)
            return None
        reached = len(frozen.user_attrs.get(SCORES, []))
        until = self._rungs.halving.until(slot, reached) if self._rungs else None
        return Cell(slot, trial.number, params, trial, until, reached)

    def _reseed(self, slot: int) -> None:
        """Draw from a generator of the slot's own: what a sweep tries must not depend on where it was interrupted."""
        if self._is_grid or not is_reseeded(self._sampler_config):
            return
        attempts = sum(
            t.user_attrs.get(SLOT) == slot and t.user_attrs.get(ENDED) == "repeat" for t in self._trials.all()
        )
        seed = (int(self._sampler_config["seed"]) * 1_000_003 + slot * 101 + attempts) % 2**31
        self._study.sampler = make_sampler({**self._sampler_config, "seed": seed}, self._space)

    def _instead_of(self, trial: optuna.Trial, slot: int) -> None:
        """A configuration asked for again teaches nothing: end it and lay its slot out anew."""
        repeats = sum(t.user_attrs.get(SLOT) == slot for t in self._trials.all())
        trial.set_user_attr(ENDED, "repeat")
        fixed = self._untried() if repeats >= MOST_REPEATS else {}
        attrs = {SLOT: slot, AFTER: trial.number, **({"fixed": True} if fixed else {})}
        self._study.enqueue_trial(fixed, user_attrs=attrs)
        self._study.tell(trial, state=TrialState.FAIL)

    def _untried(self) -> dict[str, Any]:
        """A configuration of a finite space that no trial has; empty when there is none or the space is infinite."""
        if self._space.size() is None:
            return {}
        tried = [t.params for t in self._trials.all() if t.params]
        left = [cell for cell in self._space.cells() if cell not in tried]
        return random.Random(self._seed).choice(left) if left else {}

    def renew(self, cell: Cell, lease: Lease) -> None:
        """Say that this worker is still at it."""
        self._storage.set_trial_user_attr(cell.trial._trial_id, LEASE, lease.plain())

    def release(self, cell: Cell) -> None:
        """Give a slot back unfinished: whoever comes next goes on with it."""
        self._trials.lay_out_again(self._frozen(cell), deaths=0)

    def pause(self, cell: Cell, score: float) -> None:
        """Let a cell wait at the rung that it has reached, until it is promoted or given up."""
        assert self._rungs is not None
        self._rungs.pause(self._frozen(cell), score)

    def give_up(self, told: Callable[[int], None]) -> None:
        """End the slots that are paused for good, if nobody is at work: `told` hears of each beforehand."""
        if self._rungs is not None:
            self._rungs.give_up(told)

    def reap(self) -> list[int]:
        """Lay the slots of dead workers out again; returns those that failed for good (see `Handover.reap`)."""
        return self._trials.reap()

    def died(self) -> list[int]:
        """All slots that failed for good: whoever saw it may have died before it was recorded."""
        return self._trials.died()

    def held(self) -> int:
        """Running trials whose workers are alive."""
        return sum(self._trials.is_held(frozen) for frozen in self._trials.in_state(TrialState.RUNNING))

    def complete(self) -> list[int]:
        """Slots that have values."""
        return sorted({int(t.user_attrs[SLOT]) for t in self._trials.in_state(TrialState.COMPLETE)})

    def unfinished(self) -> int:
        """Slots that wait or run."""
        return sum(not t.state.is_finished() for t in self._trials.all())

    def tell(
        self,
        cell: Cell,
        values: Sequence[float],
        *,
        pruned: bool = False,
        constraints: Mapping[str, float] | None = None,
    ) -> None:
        """Record a cell's values, one per objective; none at all marks it failed. Telling twice is harmless.

        Args:
            cell: what was run.
            values: of a finished cell.
            pruned: it was given up, or refused before it was trained.
            constraints: name -> by how much it is broken; at most 0 when it is kept.
        """
        if constraints and not self._frozen(cell).state.is_finished():
            for name, excess in constraints.items():
                cell.trial.set_constraint(name, excess)
        state = TrialState.PRUNED if pruned else None if values else TrialState.FAIL
        if state is None and self._is_grid:
            self._complete(cell, values)  # no sampler has to hear of it
            return
        self._study.tell(cell.number, list(values) if state is None else None, state=state, skip_if_finished=True)

    def _complete(self, cell: Cell, values: Sequence[float]) -> None:
        """Optuna's own way would read the trial twice from the storage."""
        known = not any(math.isnan(value) for value in values)
        state = TrialState.COMPLETE if known else TrialState.FAIL
        with contextlib.suppress(UpdateFinishedTrialError):
            self._storage.set_trial_state_values(cell.trial._trial_id, state, list(values) if known else None)

    def _frozen(self, cell: Cell) -> FrozenTrial:
        return self._storage.get_trial(cell.trial._trial_id)
