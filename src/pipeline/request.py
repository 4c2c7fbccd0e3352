"""What `-m` asked for, and the identity that makes the same command continue the same sweep."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.common.hashes import hash_of
from src.config.schema import AppConfig, identity
from src.records.sweep_folder import sweeps_folder
from src.sweeper.goals import Goals, parse_goals
from src.sweeper.halving import Halving, halving_of
from src.sweeper.launchers import JobLauncher
from src.sweeper.space import Space

OBJECTIVE = "val/mAP50-95"


@dataclass(frozen=True)
class SweepRequest:
    """A sweep to run or to continue."""

    base: AppConfig  # what all trials share, with the first cell's values
    space: Space
    sampler: Mapping[str, Any]
    n_trials: int | None  # trainings; None = every combination once
    study: str | None  # name of the file in sweeps/
    compose: Callable[[list[str]], AppConfig]
    launcher: JobLauncher | None = None  # starts the workers; None = plain processes of this machine

    @property
    def kind(self) -> str:
        """Grid or study."""
        return "grid" if self.n_trials is None else "study"

    @property
    def seeds(self) -> list[int]:
        """Replicates of every configuration."""
        return self.space.seeds or [self.base.seed]

    @property
    def goals(self) -> Goals:
        """What the study searches for."""
        return parse_goals(self.base.study)

    @property
    def halving(self) -> Halving | None:
        """The rungs at which trainings are paused; None where none are."""
        several = len(self.goals.objectives) > 1  # nothing says which of them stands better
        return None if several else halving_of(self.base.study, self.base.epochs)

    @property
    def folder(self) -> Path:
        """Where the sweep is kept."""
        return sweeps_folder(Path(self.base.outputs)) / self.name()

    def identity(self) -> str:
        """Hash of everything that decides what is trained: the same command has the same identity."""
        swept = tuple(key.split(".")[0] for key in self.space.words)
        shared = identity(self.base, without=tuple(k for k in swept if k in ("imgsz", "lr", "seed", "epochs", "batch")))
        sampler = dict(self.sampler) if self.n_trials else {}
        parts: list[Any] = [shared, self.space.words, sampler, self.n_trials]
        if not self.goals.plain:
            study = self.base.study
            measured = [study.cost_artifact, study.cost_runtime] if self.goals.needs_costs else []
            parts.append([self.goals.words(), self.goals.lower_bound, measured])
        return hash_of(parts)

    def name(self) -> str:
        """The sweep's name: as configured, else made from the study, the data and the identity."""
        return self.base.sweep or f"{self.study or 'grid'}-{self.base.data.name}-{self.identity()[:6]}"

    def trials(self) -> int:
        """Trainings that the sweep runs in all."""
        size = self.space.size()
        everything = size * len(self.seeds) if size is not None else None
        return min(n for n in (self.n_trials, everything) if n is not None)

    def different(self) -> int:
        """Configurations that the search trains: replicates count as one."""
        return -(-self.trials() // len(self.seeds))

    def configurations(self) -> int | None:
        """Configurations that the study hands out; None for a grid, which hands out all."""
        return None if self.n_trials is None else self.different()

    def config_of(self, overrides: list[str]) -> AppConfig:
        """The configuration of one trial."""
        return self.compose(self.space.fixed + overrides)
