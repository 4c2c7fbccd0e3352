"""Paused configurations in the study's storage: where each slot stands, who goes on, and what is given up.

A slot that is paused is a waiting trial with its values and the scores of its rungs. Taking it is as atomic as taking a
fresh one, so that any number of workers promote without knowing of each other, and any of them may be killed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from src.sweeper.halving import Halving, Standing
from src.sweeper.lease import Lease
from src.sweeper.requeue import AFTER, LEASE, LEAVING, PAUSED, SCORES, SLOT, Requeue


class Rungs:
    """The rungs of one study.

    Args:
        study: Optuna's.
        storage: where it lives.
        trials: its trials.
        halving: the rule.
    """

    def __init__(self, study: optuna.Study, storage: BaseStorage, trials: Requeue, halving: Halving) -> None:
        self._study, self._storage, self._trials, self.halving = study, storage, trials, halving

    def next(self) -> FrozenTrial | None:
        """The paused trial that goes on next; None when none is promoted."""
        paused = {int(t.user_attrs[SLOT]): t for t in self._paused()}
        if not paused:
            return None
        promoted = self.halving.promoted(list(self._standings(paused)), self.at_rest())
        return paused[promoted[0]] if promoted else None

    def at_rest(self) -> bool:
        """Whether nothing is left to begin and nobody trains."""
        return self._trials.waiting() is None and not self._trials.in_state(TrialState.RUNNING)

    def _paused(self) -> Iterator[FrozenTrial]:
        waiting = self._trials.in_state(TrialState.WAITING)
        return (t for t in waiting if t.user_attrs.get(PAUSED) and not self._trials.is_double(t))

    def _standings(self, paused: dict[int, FrozenTrial]) -> Iterator[Standing]:
        """Every slot that has reached a rung and has not failed."""
        latest: dict[int, FrozenTrial] = {}
        followed: set[int] = set()
        for trial in self._trials.all():
            after = trial.user_attrs.get(AFTER)
            if after in followed:  # a double: the first successor counts
                continue
            if after is not None:
                followed.add(after)
            latest[int(trial.user_attrs.get(SLOT, -1))] = trial
        for slot, trial in latest.items():
            scores = trial.user_attrs.get(SCORES, [])
            if scores and trial.state is not TrialState.FAIL:
                yield Standing(slot, scores, slot in paused)

    def pause(self, frozen: FrozenTrial, score: float) -> None:
        """Let a slot wait at the rung that it has reached."""
        scores = [*frozen.user_attrs.get(SCORES, []), score]
        self._trials.lay_out_again(frozen, deaths=0, more={PAUSED: True, SCORES: scores}, how="paused")

    def give_up(self, told: Callable[[int], None]) -> None:
        """End what is still paused when nobody can go on.

        Args:
            told: told of every slot before it is ended; it may be told twice.
        """
        if not self.at_rest() or self.next() is not None:
            return
        for trial in list(self._paused()):
            try:
                if not self._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
                    continue
            except UpdateFinishedTrialError:
                continue
            self._storage.set_trial_user_attr(trial._trial_id, LEAVING, True)
            self._storage.set_trial_user_attr(trial._trial_id, LEASE, Lease.own().plain())
            told(int(trial.user_attrs[SLOT]))
            self._study.tell(trial.number, state=TrialState.PRUNED, skip_if_finished=True)
