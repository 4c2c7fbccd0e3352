"""Hydra's door to the sweep: takes the command line that `-m` was given and hands a request to the pipeline.

Search spaces and samplers are those of hydra-optuna-sweeper; its loop is not used, because it ends at the first
failure and repeats itself when it is started again. Optuna and everything heavier is imported when a sweep starts, so
that printing help or a configuration stays quick.
"""

from __future__ import annotations

import copy
import sys
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType
from hydra.errors import HydraException
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from hydra_plugins.hydra_optuna_sweeper.config import SamplerConfig
from omegaconf import MISSING, DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from src.cli.command import begin
from src.config.checks import check
from src.config.schema import AppConfig, to_typed
from src.config.strictness import refuse_unwritable
from src.models.base import family
from src.sweeper.launchers import BASIC, JobLauncher

KEPT = 1024  # configurations: a sweep's cells are checked before it begins, and asked for again


@dataclass
class DetsweepSweeperConf:
    """Node `hydra.sweeper`; the group `hydra/sweeper/sampler` is hydra-optuna-sweeper's own."""

    _target_: str = "src.sweep_plugin.DetsweepSweeper"
    defaults: list[Any] = field(default_factory=lambda: [{"sampler": "tpe"}])
    sampler: SamplerConfig = MISSING
    n_trials: int | None = None  # trainings in all, seeds counted; null = every combination once
    params: dict[str, str] | None = None


def register() -> None:
    """Offer `hydra/sweeper=detsweep`."""
    store = ConfigStore.instance()
    store.store(group="hydra/sweeper", name="detsweep", node=DetsweepSweeperConf, provider="detsweep", replace=True)


class DetsweepSweeper(Sweeper):
    """Runs a grid or an Optuna study through the pipeline."""

    def __init__(self, sampler: Any, n_trials: int | None, params: DictConfig | None) -> None:
        self.sampler = sampler
        self.n_trials = n_trials
        self.params = params

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what composing a trial's configuration needs."""
        self.master = config
        self.context = hydra_context
        self.loader = hydra_context.config_loader
        self.composed: dict[tuple[str, ...], AppConfig] = {}
        self.bases: dict[tuple[str, ...], DictConfig] = {}

    def compose(self, overrides: list[str]) -> AppConfig:
        """The checked configuration of one trial.

        Raises:
            UserError: a value makes no sense.
            HydraException: an override can't be composed.
        """
        known = tuple(overrides)
        if known not in self.composed:
            if len(self.composed) >= KEPT:
                self.composed.clear()
            self.composed[known] = self._compose(overrides)
        return copy.deepcopy(self.composed[known])

    def _compose(self, overrides: list[str]) -> AppConfig:
        typed = to_typed(self._updated(overrides) or self._loaded(overrides))
        typed.model = family(typed.model.family).scaled(typed.model)
        check(typed)
        return typed

    def _loaded(self, overrides: list[str]) -> DictConfig:
        """As Hydra composes it, which takes it a tenth of a second."""
        cfg = self.loader.load_sweep_config(self.master, overrides)
        with read_write(cfg), open_dict(cfg):
            del cfg["hydra"]
        return cfg

    def _updated(self, overrides: list[str]) -> DictConfig | None:
        """The same from what Hydra composed of the choices of groups alone, with the values set in their order.

        Returns:
            None where that is not plainly the same, or a value can't be set: Hydra has the words for it.
        """
        try:
            parsed = OverridesParser.create().parse_overrides(overrides)
            values = [o for o in parsed if not self.loader.get_group_options(o.key_or_group)]
            if any(o.type is not OverrideType.CHANGE or o.package or o.is_sweep_override() for o in values):
                return None
            groups = tuple(str(o.input_line) for o in parsed if o not in values)
            if groups not in self.bases:
                self.bases[groups] = self._loaded(list(groups))
            cfg = copy.deepcopy(self.bases[groups])
            with read_write(cfg):
                for o in values:
                    OmegaConf.update(cfg, o.key_or_group, o.value(), merge=True)
        except (HydraException, OmegaConfBaseException):
            return None
        return cfg

    def job_launcher(self) -> JobLauncher | None:
        """The launcher that is to start the workers; None where they are plain processes of this machine."""
        name = str(self.master.hydra.runtime.choices.get("hydra/launcher") or BASIC)
        return None if name == BASIC else JobLauncher(name, self.master, self.context)

    def sweep(self, arguments: list[str]) -> None:
        """Run the sweep; ends the process with the contract's exit code unless all went well."""
        from src.pipeline.request import SweepRequest
        from src.pipeline.sweep import run_sweep
        from src.sweeper.goals import check_seeds, parse_goals
        from src.sweeper.space import check_space, parse_space

        params = {str(k): str(v) for k, v in (self.params or {}).items()}
        space = parse_space(params, arguments, n_trials=self.n_trials)
        base = check_space(space, self.compose)
        parse_goals(base.study)
        check_seeds(base.study, len(space.seeds) or 1)
        refuse_unwritable(outputs=base.outputs, reports=base.reports)
        launcher = self.job_launcher()
        if base.train.cache_folder and launcher is None:  # another machine's disk is not looked at from here
            refuse_unwritable(**{"train.cache_folder": base.train.cache_folder})
        request = SweepRequest(
            base=base,
            space=space,
            sampler={str(key): self.sampler[key] for key in self.sampler},
            n_trials=self.n_trials,
            study=self.master.hydra.runtime.choices.get("sweeps"),
            compose=self.compose,
            launcher=launcher,
        )
        begin()
        if code := run_sweep(request):
            sys.exit(code)
