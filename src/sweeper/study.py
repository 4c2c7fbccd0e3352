"""The study: asks Optuna for configurations, remembers them in a journal, and tells it what they were worth.

A configuration is an Optuna trial; its seeds are replicates, and its value is the mean over them. A grid is a study
whose configurations are all queued beforehand, so that both are stored, resumed and shown alike.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import optuna
from hydra.utils import instantiate
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from src.sweeper.space import Space

MOST_REPEATS = 200  # asks without a new configuration before a finite space counts as used up
SAMPLERS = ("hydra_plugins.hydra_optuna_sweeper.*", "optuna.samplers.*")


@dataclass(frozen=True)
class Cell:
    """One configuration to train."""

    index: int  # counts configurations from 0, without repeats
    number: int  # Optuna's trial number
    params: dict[str, Any]


class Study:
    """A resumable source of configurations.

    Args:
        path: journal file.
        space: what to search.
        sampler: configuration of an Optuna sampler, as in `hydra/sweeper/sampler`.
        budget: configurations to hand out; None hands out every cell of the (finite) space.
    """

    def __init__(self, path: Path, space: Space, sampler: Mapping[str, Any], budget: int | None) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = space
        self._is_grid = budget is None
        size = space.size()
        self._budget = min(b for b in (budget, size) if b is not None)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(path))),
            study_name="sweep",
            sampler=None if self._is_grid else make_sampler(sampler, space),
            direction="maximize",
            load_if_exists=True,
        )
        if self._is_grid and not self._study.get_trials(deepcopy=False):
            for params in space.cells():
                self._study.enqueue_trial(params)

    @property
    def budget(self) -> int:
        """Configurations that this study hands out."""
        return self._budget

    def cells(self) -> Iterator[Cell]:
        """Hand out the configurations: first those of an earlier run, then new ones.

        `tell` must be called for a cell before the next is taken, so that the sampler learns from it.
        """
        seen: dict[str, int] = {}
        for frozen in self._study.get_trials(deepcopy=False):
            if frozen.state != TrialState.WAITING and str(frozen.params) not in seen:
                seen[str(frozen.params)] = frozen.number
                yield Cell(len(seen) - 1, frozen.number, dict(frozen.params))
        repeats = 0
        while len(seen) < self._budget and repeats < MOST_REPEATS:
            trial = self._study.ask(dict(self._space.params))
            if (first := seen.get(str(trial.params))) is not None:
                self._tell_repeat(trial, first)
                repeats += 1
                continue
            seen[str(trial.params)] = trial.number
            yield Cell(len(seen) - 1, trial.number, dict(trial.params))

    def _tell_repeat(self, trial: optuna.Trial, first: int) -> None:
        """A configuration asked for again costs nothing: it gets the value that is known."""
        known = self._study.get_trials(deepcopy=False)[first]
        trial.set_user_attr("repeats", first)
        if known.value is None:
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            self._study.tell(trial, known.value)

    def tell(self, cell: Cell, values: Sequence[float]) -> None:
        """Record the values of a cell's replicates; none at all marks it failed. Telling twice is harmless."""
        state = TrialState.COMPLETE if values else TrialState.FAIL
        self._study.tell(cell.number, fmean(values) if values else None, state=state, skip_if_finished=True)


def make_sampler(sampler: Mapping[str, Any], space: Space) -> optuna.samplers.BaseSampler:
    """Instantiate the configured sampler; nothing but Optuna's samplers may be named."""
    made = instantiate(dict(sampler), _execution_whitelist_=SAMPLERS)
    if callable(made) and not isinstance(made, optuna.samplers.BaseSampler):  # the grid sampler waits for its space
        made = made({name: [c[name] for c in space.cells()] for name in space.params})
    assert isinstance(made, optuna.samplers.BaseSampler)
    return made


logging.getLogger("optuna").propagate = False
