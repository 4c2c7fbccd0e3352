"""Handing a slot over: from a worker that died or gave it back to the one that goes on with it.

A trial of Optuna's that was taken can't be given back. It is failed, and another one waits in its place, under the
same slot. Any process may be killed between any two writes, and several may see the same dead worker at once: every
step here can be done again, or twice, without a slot being lost or finished twice.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from src.sweeper.lease import Sightings, read_lease
from src.sweeper.space import Space

SLOT, LEASE, DEATHS, ENDED = "slot", "lease", "deaths", "ended"
AFTER = "after"  # number of the trial that a trial takes the slot over from
MARK, REACHED = "mark", "reached"  # how far the work on a slot is, and was when it was taken over
PAUSED, SCORES, LEAVING = "paused", "scores", "leaving"  # of successive halving, see `src.sweeper.rungs`
UNFINISHED = ("lost", "repeat", "double", "paused")  # ends of a trial that are not the end of its slot
MOST_DEATHS = 5  # of workers on one slot without an epoch of progress between, before it counts as failed


class Requeue:
    """The trials of a study, and what becomes of those whose worker is gone.

    Args:
        study: Optuna's.
        storage: where it lives.
        space: what is searched.
        is_grid: slots have their values from the beginning.
    """

    def __init__(self, study: optuna.Study, storage: BaseStorage, space: Space, is_grid: bool) -> None:
        self._study, self._storage, self._space, self._is_grid = study, storage, space, is_grid
        self._queue: list[tuple[int, int]] = []  # slot and number of trials that were waiting when they were first seen
        self._first: dict[int, int] = {}  # slot -> number of the trial that it was laid out as
        self._seen = 0
        self._sightings = Sightings()

    def all(self) -> list[FrozenTrial]:
        """Every trial of the study."""
        return self._study.get_trials(deepcopy=False)

    def in_state(self, state: TrialState) -> list[FrozenTrial]:
        """The trials in one state."""
        return self._study.get_trials(deepcopy=False, states=(state,))

    def waiting(self, ahead: int = 0) -> FrozenTrial | None:
        """The trial that waits for the lowest slot, but for paused ones.

        Looking through all of them would take longer with every trial.

        Args:
            ahead: so many slots further on, as far as there are.
        """
        trials = self.all()
        for trial in itertools.islice(trials, self._seen, None):
            if AFTER not in trial.user_attrs:
                self._first.setdefault(int(trial.user_attrs.get(SLOT, -1)), trial.number)
            if not trial.user_attrs.get(PAUSED):
                heapq.heappush(self._queue, place(trial))
        self._seen = len(trials)
        while self._queue:
            trial = trials[self._queue[0][1]]
            if trial.state is TrialState.WAITING:
                return self._further(trials, ahead) if ahead else trial
            heapq.heappop(self._queue)  # a trial that was taken never waits again
        return None

    def _further(self, trials: list[FrozenTrial], ahead: int) -> FrozenTrial:
        first = (trials[number] for _, number in heapq.nsmallest(ahead + 1, self._queue))
        return [trial for trial in first if trial.state is TrialState.WAITING][-1]

    def is_double(self, frozen: FrozenTrial) -> bool:
        """Whether another trial took the same slot over from the same dead one: the earlier of them counts.

        So it does where two machines that share no lock laid the same slot out.
        """
        after = frozen.user_attrs.get(AFTER)
        if after is None:
            return self._first.get(int(frozen.user_attrs.get(SLOT, -1)), frozen.number) < frozen.number
        return any(t.user_attrs.get(AFTER) == after and t.number < frozen.number for t in self.all())

    def is_repeat(self, trial: optuna.Trial | FrozenTrial, params: dict[str, Any]) -> bool:
        """Whether another trial has these values."""
        return any(t.params == params and t.number != trial.number for t in self.all() if t.params)

    def is_held(self, frozen: FrozenTrial) -> bool:
        """Whether a worker is on a running trial."""
        return self._sightings.held(frozen._trial_id, read_lease(frozen.user_attrs.get(LEASE)))

    def reap(self) -> list[int]:
        """Lay the slots of dead workers out again.

        Returns:
            Slots that failed for good, because their worker died again and again without progress.
        """
        lost = []
        for frozen in sorted(self.in_state(TrialState.RUNNING), key=place):
            if self.is_held(frozen):
                continue
            further = _mark(frozen) > int(frozen.user_attrs.get(REACHED, 0))
            deaths = 1 if further else int(frozen.user_attrs.get(DEATHS, 0)) + 1
            if deaths < MOST_DEATHS:
                self.lay_out_again(frozen, deaths)
            elif self.end(frozen, "died"):
                lost.append(int(frozen.user_attrs[SLOT]))
        return lost

    def died(self) -> list[int]:
        """All slots that failed for good: whoever saw it may have died before it was recorded."""
        return [int(t.user_attrs[SLOT]) for t in self.all() if t.user_attrs.get(ENDED) == "died"]

    def lay_out_again(
        self, frozen: FrozenTrial, deaths: int, more: Mapping[str, Any] | None = None, how: str = "lost"
    ) -> None:
        """End a trial that was taken, and let another one wait in its place.

        Args:
            frozen: the trial.
            deaths: of workers on the slot, one after the other without progress.
            more: attributes that the next one has instead of its predecessor's.
            how: what the trial's end is called.
        """
        # The slot is laid out before the old trial is ended: killed between the two, whoever comes next finds the
        # successor and ends the old one. The other way round the slot would be lost. Where several workers do this at
        # once, the first successor counts (`is_double`).
        if not any(t.user_attrs.get(AFTER) == frozen.number for t in self.all()):
            params, fixed = self._kept(frozen)
            reached = max(_mark(frozen), int(frozen.user_attrs.get(REACHED, 0)))
            attrs = {SLOT: frozen.user_attrs[SLOT], AFTER: frozen.number, DEATHS: deaths, REACHED: reached}
            attrs |= _standing(frozen) if more is None else more
            self._study.enqueue_trial(params, user_attrs={**attrs, **({"fixed": True} if fixed else {})})
        self.end(frozen, how, TrialState.PRUNED if how == "paused" else TrialState.FAIL)

    def _kept(self, frozen: FrozenTrial) -> tuple[dict[str, Any], bool]:
        """The values that a slot goes on with, and whether they are settled.

        Where the worker died before it had all of them, those that it was laid out with: the sampler, asked again,
        gives the rest as it would have.
        """
        settled = bool(frozen.user_attrs.get("fixed"))
        whole = len(frozen.params) == len(self._space.params)
        if whole and (self._is_grid or settled or not self.is_repeat(frozen, frozen.params)):
            return dict(frozen.params), True
        return dict(frozen.system_attrs.get("fixed_params", {})), settled

    def end(self, frozen: FrozenTrial, how: str, state: TrialState = TrialState.FAIL) -> bool:
        """End a trial, saying how; False when it was ended before."""
        try:
            if ENDED not in frozen.user_attrs:
                self._storage.set_trial_user_attr(frozen._trial_id, ENDED, how)
            self._storage.set_trial_state_values(frozen._trial_id, state)
        except UpdateFinishedTrialError:
            return False
        return True


def place(frozen: FrozenTrial) -> tuple[int, int]:
    """Order in which slots are taken."""
    return int(frozen.user_attrs.get(SLOT, -1)), frozen.number


def _standing(frozen: FrozenTrial) -> dict[str, Any]:
    """The rungs that a slot has reached; it is paused still where it was about to be given up."""
    scores = {SCORES: frozen.user_attrs[SCORES]} if SCORES in frozen.user_attrs else {}
    return {**scores, **({PAUSED: True} if frozen.user_attrs.get(LEAVING) else {})}


def _mark(frozen: FrozenTrial) -> int:
    """How far the work on a trial got: epochs, those of later replicates counted higher."""
    return max(int(frozen.user_attrs.get(MARK, 0)), max(frozen.intermediate_values, default=-1) + 1)
