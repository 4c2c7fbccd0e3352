"""One training that is to be done, with all that is settled before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from src.config.schema import AppConfig
from src.models.base import Start
from src.pipeline.context import Context, Inputs
from src.records.schema import DatasetRef, Role


@dataclass(frozen=True)
class Trial:
    """A trial before it is run."""

    number: int  # from 0
    overrides: list[str]  # what the sweep set for it, as typed
    cfg: AppConfig
    dataset: DatasetRef
    start: Start
    folder: Path
    role: Role = "search"  # whether it takes part in the search, confirms what was chosen, or replicates what is open
    known: Mapping[str, float] = field(default_factory=dict)  # metrics known beforehand, such as a latency
    pictures_wait: bool = False  # for a moment without a training: see `src.pipeline.trial_pictures`


def trial_of(
    number: int,
    overrides: list[str],
    cfg: AppConfig,
    context: Context,
    inputs: Inputs,
    *,
    role: Role = "search",
    known: Mapping[str, float] | None = None,
    pictures_wait: bool = False,
) -> Trial:
    """A trial of a sweep, with its dataset and its starting weights.

    Raises:
        UserError: the data or the weights are wrong.
    """
    folder = context.trial_folder(number)
    dataset, start = inputs.dataset(cfg), inputs.start(cfg)
    return Trial(number, overrides, cfg, dataset, start, folder, role, known or {}, pictures_wait)
