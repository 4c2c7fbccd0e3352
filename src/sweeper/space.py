"""The search space: what is swept, what is fixed, and which seeds repeat every configuration.

The words are Hydra's (`imgsz=320,416`, `choice(…)`, `range(…)`, `interval(…)`, `tag(log, …)`), read by
hydra-optuna-sweeper's own parser. `seed` is taken out: a seed is a replicate, not something to optimise.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hydra_plugins.hydra_optuna_sweeper._impl import create_params_from_overrides
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from src.common.errors import UserError
from src.config.schema import AppConfig
from src.config.unused_keys import refuse_unused

MOST_CELLS_CHECKED = 1000  # composing one takes about 10 ms
MOST_CELLS = 100_000


@dataclass(frozen=True)
class Space:
    """A parsed search space."""

    params: dict[str, BaseDistribution]  # swept keys but seed
    seeds: list[int]  # replicates; empty = the configuration's own seed
    fixed: list[str]  # overrides that every trial gets
    words: dict[str, str]  # swept keys, seed too, as typed

    def size(self) -> int | None:
        """Number of configurations, seeds not counted; None where an interval makes it infinite."""
        sizes = [_count(d) for d in self.params.values()]
        return None if None in sizes else math.prod(s for s in sizes if s is not None)

    def highest(self, name: str, otherwise: float) -> float:
        """The highest number that a key is given; `otherwise` where it is not swept."""
        found = self.params.get(name)
        if isinstance(found, CategoricalDistribution):
            return max(float(choice) for choice in found.choices if choice is not None)
        return float(found.high) if isinstance(found, IntDistribution | FloatDistribution) else otherwise

    def cells(self) -> Iterator[dict[str, Any]]:
        """Every configuration of a finite space, in the order typed (the last key varies fastest)."""
        names = list(self.params)
        for values in itertools.product(*(_values(self.params[n]) for n in names)):
            yield dict(zip(names, values, strict=True))


def parse_space(params: Mapping[str, str], arguments: list[str], *, n_trials: int | None) -> Space:
    """Parse the sweep file's `params` and the command line's words; a word overrides the file's key.

    Raises:
        UserError: nothing is swept, seeds are no finite list, or an interval without a number of trials.
    """
    words = {**{k: f"{k}={v}" for k, v in params.items()}}
    free = []
    for word in arguments:
        key = word.split("=", 1)[0].lstrip("+~")
        if ("=" in word and key in words) or _sweeps(word):
            words[key] = word
        else:
            free.append(word)
    try:
        swept, fixed, deleted = create_params_from_overrides(list(words.values()))
    except (ValueError, AssertionError, NotImplementedError) as error:
        raise UserError(f"the search space can't be read: {error}", remedy="see Hydra's override grammar") from None
    seeds = _seeds(swept.pop("seed", None))
    space = Space(
        params=swept,
        seeds=seeds,
        fixed=[*free, *(f"{k}={v}" for k, v in fixed.items()), *deleted],
        words={k: w.split("=", 1)[1] for k, w in words.items() if k in swept or (k == "seed" and seeds)},
    )
    _check_shape(space, n_trials)
    return space


def _sweeps(word: str) -> bool:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return bool(OverridesParser.create().parse_override(word).is_sweep_override())


def _seeds(distribution: BaseDistribution | None) -> list[int]:
    if distribution is None:
        return []
    count = _count(distribution)
    if count is not None and count > MOST_CELLS:
        raise UserError("seed has too many values", value=count, remedy="seed=1,42 or seed=range(1,4)")
    values = _values(distribution) if count is not None else None
    if isinstance(distribution, IntDistribution) and distribution.log:
        values = None
    if not values or not all(isinstance(v, int) for v in values):
        raise UserError("seed lists replicates and can't be an interval", remedy="seed=1,42 or seed=range(1,4)")
    return list(dict.fromkeys(int(v) for v in values))


def _check_shape(space: Space, n_trials: int | None) -> None:
    if not space.params and not space.seeds:
        raise UserError(
            "the search space is empty: no key has several values",
            remedy="list values (imgsz=320,416), name a study (sweeps=imgsz_lr_seed), or leave out -m for one trial",
        )
    if n_trials is not None and n_trials < 1:
        raise UserError("hydra.sweeper.n_trials must be at least 1", value=n_trials)
    if n_trials is not None and n_trials > MOST_CELLS:
        raise UserError(f"hydra.sweeper.n_trials must be at most {MOST_CELLS}", value=n_trials)
    for name, d in space.params.items():  # every value of a key is looked at more than once
        if (_count(d) or 0) > MOST_CELLS:
            remedy = f"{name}=interval(…) with hydra.sweeper.n_trials, or fewer values"
            raise UserError(f"{name} has too many values", value=_count(d), remedy=remedy)
    size = space.size()
    if n_trials is None and size is None:
        name = next(k for k, d in space.params.items() if _count(d) is None)
        raise UserError(
            f"{name} is an interval, so the number of trials must be given",
            value=space.words[name],
            remedy="hydra.sweeper.n_trials=20, or list values instead",
        )
    if n_trials is None and size is not None and size > MOST_CELLS:
        raise UserError("the grid is too large", value=f"{size} cells", remedy="hydra.sweeper.n_trials=100")


def _count(d: BaseDistribution) -> int | None:
    if isinstance(d, CategoricalDistribution):
        return len(d.choices)
    if isinstance(d, IntDistribution):
        return None if d.log else (d.high - d.low) // d.step + 1
    if isinstance(d, FloatDistribution) and d.step is not None:
        return round((d.high - d.low) / d.step) + 1
    return None


def _values(d: BaseDistribution) -> list[Any]:
    """Values of a finite distribution, in order, each once."""
    if isinstance(d, CategoricalDistribution):
        return list(dict.fromkeys(d.choices))
    if isinstance(d, IntDistribution):
        return list(range(d.low, d.high + 1, d.step))
    assert isinstance(d, FloatDistribution)
    assert d.step is not None
    step, low = d.step, d.low
    return [round(low + i * step, 12) for i in range(_count(d) or 0)]


def overrides_of(params: Mapping[str, Any]) -> list[str]:
    """Parameters as Hydra overrides."""
    return [f"{key}={value}" for key, value in params.items()]


def check_space(space: Space, compose: Callable[[list[str]], AppConfig]) -> AppConfig:
    """Compose and check every cell (or the corners of an infinite space) before anything runs.

    Returns:
        The configuration that all trials share, with the first cell's values.

    Raises:
        UserError, HydraException: the first configuration that is wrong.
    """
    cells = space.cells() if space.size() is not None else corners(space)
    cfgs = [
        compose([*space.fixed, *overrides_of(params), *(f"seed={s}" for s in space.seeds[:1])])
        for params in itertools.islice(cells, MOST_CELLS_CHECKED)
    ]
    refuse_unused(cfgs)
    for seed in space.seeds:
        if seed < 0:
            raise UserError("seed must be at least 0", value=seed)
    return cfgs[0]


def corners(space: Space) -> Iterator[dict[str, Any]]:
    """The cells of a finite space; where a key is an interval, its two ends."""
    ends = []
    for d in space.params.values():
        if _count(d) is not None:
            ends.append(_values(d))
        else:
            assert isinstance(d, (IntDistribution, FloatDistribution))
            ends.append([d.low, d.high])
    for values in itertools.product(*ends):
        yield dict(zip(space.params, values, strict=True))
