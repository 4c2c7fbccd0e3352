"""The study: hands out configurations, each to one worker, and remembers in its storage what they were worth.

A configuration is an Optuna trial; its seeds are replicates, and its value is the mean over them. The budget is
laid out beforehand as *slots*, trials that wait: taking one is atomic in every storage of Optuna's, so that any
number of workers, on any number of machines, run exactly as many configurations as were asked for. A grid is a
study whose slots have their values already; otherwise the sampler gives them when a slot is taken. A slot whose
worker died is failed in Optuna and laid out again with the same values, under the same index: files are keyed by
it, so that its work goes on.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from hydra.utils import instantiate
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from src.sweeper.lease import Lease, Sightings, read_lease
from src.sweeper.space import Space
from src.sweeper.storage import STUDY, quiet

SAMPLERS = ("hydra_plugins.hydra_optuna_sweeper.*", "optuna.samplers.*")
RESEEDED = ("TPESampler", "RandomSampler", "GPSampler")  # the others keep what they need in the study
MOST_REPEATS = 20  # times the sampler may repeat itself before a finite space is searched for what is left
SLOT, LEASE, DEATHS, ENDED = "slot", "lease", "deaths", "ended"
MOST_DEATHS = 5  # of workers on one slot without an epoch of progress between, before it counts as failed


@dataclass(frozen=True)
class Cell:
    """One configuration that this worker has taken."""

    index: int  # slot; counts configurations from 0
    number: int  # Optuna's trial number
    params: dict[str, Any]
    trial: optuna.Trial


class Study:
    """A study that several workers share.

    Args:
        storage: where it lives.
        space: what to search.
        sampler: configuration of an Optuna sampler, as in `hydra/sweeper/sampler`.
        budget: configurations to hand out; None hands out every cell of the (finite) space.
        pruner: stops trials that can't win; None never does.
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
        maximize: Sequence[bool] = (True,),
        name: str = STUDY,
        seed: int = 0,
    ) -> None:
        quiet()
        self._storage, self._space, self._seed = storage, space, seed
        self._sampler_config = dict(sampler)
        self._sightings = Sightings()
        self._is_grid = budget is None
        self.budget = min(b for b in (budget, space.size()) if b is not None)
        self._directions = [StudyDirection.MAXIMIZE if up else StudyDirection.MINIMIZE for up in maximize]
        self._study = self._open(storage, name, None if self._is_grid else make_sampler(sampler, space), pruner)

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
        """Lay out the slots that are missing. One process at a time may do this: the caller holds the sweep's lock."""
        known = {t.user_attrs[SLOT] for t in self._trials()}
        cells = self._space.cells() if self._is_grid else iter([{}] * self.budget)
        for slot, params in enumerate(cells):
            if slot not in known:
                self._study.enqueue_trial(params, user_attrs={SLOT: slot})

    def claim(self) -> Cell | None:
        """Take the next slot; None when none is waiting (others may still be at work, see `unfinished`)."""
        for frozen in self._trials(TrialState.WAITING):
            if (cell := self._take(frozen)) is not None:
                return cell
        return None

    def _take(self, frozen: FrozenTrial) -> Cell | None:
        """Make a waiting trial this worker's own; None when another was quicker or its values were only a repeat."""
        try:
            if not self._storage.set_trial_state_values(frozen._trial_id, TrialState.RUNNING):
                return None
        except UpdateFinishedTrialError:
            return None
        trial = optuna.Trial(self._study, frozen._trial_id)
        trial.set_user_attr(LEASE, Lease.own().plain())
        slot = int(frozen.user_attrs[SLOT])
        self._reseed(slot)
        params = {name: suggest(trial, name, d) for name, d in self._space.params.items()}
        if not self._is_grid and not frozen.user_attrs.get("fixed") and self._is_repeat(trial, params):
            return self._instead_of(trial, slot)
        return Cell(slot, trial.number, params, trial)

    def _reseed(self, slot: int) -> None:
        """Draw from a generator of the slot's own: what a sweep tries must not depend on where it was interrupted."""
        if self._is_grid or self._sampler_config.get("seed") is None:
            return
        if str(self._sampler_config.get("_target_", "")).rpartition(".")[2] not in RESEEDED:
            return
        attempts = sum(t.user_attrs.get(SLOT) == slot and t.user_attrs.get(ENDED) == "repeat" for t in self._trials())
        seed = (int(self._sampler_config["seed"]) * 1_000_003 + slot * 101 + attempts) % 2**31
        self._study.sampler = make_sampler({**self._sampler_config, "seed": seed}, self._space)

    def _is_repeat(self, trial: optuna.Trial, params: dict[str, Any]) -> bool:
        return any(t.params == params and t.number != trial.number for t in self._trials() if t.params)

    def _instead_of(self, trial: optuna.Trial, slot: int) -> Cell | None:
        """A configuration asked for again teaches nothing: end it and lay its slot out anew."""
        repeats = sum(t.user_attrs.get(SLOT) == slot for t in self._trials())
        trial.set_user_attr(ENDED, "repeat")
        self._study.tell(trial, state=TrialState.FAIL)
        fixed = self._untried() if repeats >= MOST_REPEATS else {}
        attrs = {SLOT: slot, **({"fixed": True} if fixed else {})}
        self._study.enqueue_trial(fixed, user_attrs=attrs)
        return self.claim()

    def _untried(self) -> dict[str, Any]:
        """A configuration of a finite space that no trial has; empty when there is none or the space is infinite."""
        if self._space.size() is None:
            return {}
        tried = [t.params for t in self._trials() if t.params]
        left = [cell for cell in self._space.cells() if cell not in tried]
        return random.Random(self._seed).choice(left) if left else {}

    def renew(self, cell: Cell, lease: Lease) -> None:
        """Say that this worker is still at it."""
        self._storage.set_trial_user_attr(cell.trial._trial_id, LEASE, lease.plain())

    def release(self, cell: Cell) -> None:
        """Give a slot back unfinished: whoever comes next goes on with it."""
        self._lay_out_again(self._frozen(cell), deaths=0)

    def reap(self) -> list[int]:
        """Lay the slots of dead workers out again.

        Returns:
            Slots that failed for good, because their worker died again and again without progress.
        """
        lost = []
        for frozen in self._trials(TrialState.RUNNING):
            if self._is_held(frozen):
                continue
            deaths = int(frozen.user_attrs.get(DEATHS, 0)) + 1 if not frozen.intermediate_values else 1
            if deaths >= MOST_DEATHS:
                if self._end(frozen._trial_id, "died"):
                    lost.append(int(frozen.user_attrs[SLOT]))
                continue
            self._lay_out_again(frozen, deaths)
        return lost

    def _lay_out_again(self, frozen: FrozenTrial, deaths: int) -> None:
        # Only one of several workers that see the same dead trial can end it; that one lays the slot out.
        if not self._end(frozen._trial_id, "lost"):
            return
        attrs = {SLOT: frozen.user_attrs[SLOT], DEATHS: deaths, **({"fixed": True} if frozen.params else {})}
        self._study.enqueue_trial(dict(frozen.params), user_attrs=attrs)

    def _end(self, trial_id: int, how: str) -> bool:
        try:
            self._storage.set_trial_user_attr(trial_id, ENDED, how)
            self._storage.set_trial_state_values(trial_id, TrialState.FAIL)
        except UpdateFinishedTrialError:
            return False
        return True

    def held(self) -> int:
        """Running trials whose workers are alive."""
        return sum(self._is_held(frozen) for frozen in self._trials(TrialState.RUNNING))

    def _is_held(self, frozen: FrozenTrial) -> bool:
        return self._sightings.held(frozen._trial_id, read_lease(frozen.user_attrs.get(LEASE)))

    def unfinished(self) -> int:
        """Slots that wait or run."""
        return len(self._trials(TrialState.WAITING)) + len(self._trials(TrialState.RUNNING))

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
        self._study.tell(cell.number, list(values) if state is None else None, state=state, skip_if_finished=True)

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        found = self._study.get_trials(deepcopy=False, states=states or None)
        return sorted(found, key=lambda t: (t.user_attrs.get(SLOT, -1), t.number))

    def _frozen(self, cell: Cell) -> FrozenTrial:
        return self._storage.get_trial(cell.trial._trial_id)


def suggest(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Any:
    """The sampler's value for a parameter, or the one that its slot was laid out with."""
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    assert isinstance(distribution, FloatDistribution)
    return trial.suggest_float(name, distribution.low, distribution.high, step=distribution.step, log=distribution.log)


def make_sampler(sampler: Mapping[str, Any], space: Space) -> optuna.samplers.BaseSampler:
    """Instantiate the configured sampler; nothing but Optuna's samplers may be named."""
    made = instantiate(dict(sampler), _execution_whitelist_=SAMPLERS)
    if callable(made) and not isinstance(made, optuna.samplers.BaseSampler):  # the grid sampler waits for its space
        made = made({name: [c[name] for c in space.cells()] for name in space.params})
    assert isinstance(made, optuna.samplers.BaseSampler)
    return made
