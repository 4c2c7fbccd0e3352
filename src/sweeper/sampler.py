"""Samplers: what proposes a configuration, and how its proposals reach a trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna
from hydra.utils import instantiate
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from src.sweeper.space import Space

SAMPLERS = ("hydra_plugins.hydra_optuna_sweeper.*", "optuna.samplers.*")
RESEEDED = ("TPESampler", "RandomSampler", "GPSampler")  # the others keep what they need in the study


def is_reseeded(sampler: Mapping[str, Any]) -> bool:
    """Whether a sampler of this configuration is to draw from a generator of every slot's own."""
    return sampler.get("seed") is not None and str(sampler.get("_target_", "")).rpartition(".")[2] in RESEEDED


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
