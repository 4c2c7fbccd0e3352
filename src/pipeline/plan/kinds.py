"""Which trainings of a search space cost the same: their number, and one of them to measure.

An epoch's cost follows from the network, its input, the batch and the data. Learning rates, decays and other fractions
of the recipe change what is learned, not what is computed; an augmentation costs the same at every strength above 0.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from src.config.schema import AppConfig, plain_config
from src.pipeline.request import SweepRequest
from src.sweeper.space import Space, corners, overrides_of

COSTLY = ("model", "data", "imgsz", "batch", "device")
MOST_COMPOSED = 1000  # cells of a larger space are sampled evenly: composing one takes about 10 ms


@dataclass
class Kind:
    """Trainings that cost the same for every epoch."""

    cfg: AppConfig  # one of them
    overrides: list[str]  # that make it
    trainings: float = 0.0  # of the search; a fraction where a sampler chooses
    epochs: float = 0.0  # of all of them together

    @property
    def label(self) -> str:
        """Short name for a line of the plan."""
        return f"{self.cfg.model.name} {self.cfg.imgsz} px, batch {self.cfg.batch}"


def kinds_of(request: SweepRequest) -> list[Kind]:
    """The kinds of trainings of a search, each with its share of all trainings.

    A sampler may prefer some: before the search every cell counts the same.
    """
    cells = list(cells_of(request.space))
    share = request.trials() / len(cells)
    kinds: dict[str, Kind] = {}
    for cell in cells:
        words = overrides_of(cell)
        cfg = request.config_of([*words, *(f"seed={s}" for s in request.space.seeds[:1])])
        kind = kinds.setdefault(key_of(cfg), Kind(cfg, words))
        kind.trainings += share
        kind.epochs += share * cfg.epochs
    return list(kinds.values())


def key_of(cfg: AppConfig) -> str:
    """Equal for configurations whose epochs cost the same."""
    plain = plain_config(cfg)
    recipe = {name: value for name, value in plain["train"].items() if not _is_fraction(value)}
    augment = {name: bool(value) if _is_fraction(value) else value for name, value in plain["augment"].items()}
    return repr(({key: plain[key] for key in COSTLY}, plain["study"]["minutes"], recipe, augment))


def _is_fraction(value: Any) -> bool:
    return isinstance(value, float)


def cells_of(space: Space) -> Iterator[dict[str, Any]]:
    """Every cell of a space, an even sample of a large one, or the ends of one that is not finite."""
    size = space.size()
    if size is None:
        return corners(space)
    step = -(-size // MOST_COMPOSED)
    while math.gcd(step, size) > 1 and step > 1:  # a step that divides the space would meet one value of a key only
        step += 1
    return itertools.islice(space.cells(), 0, None, step)
