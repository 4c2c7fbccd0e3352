"""Refuses to sweep what can't change the result: compute spent on a key without effect looks like evidence.

Two cells differ when their families say that they would train different things (`Family.signature`). A key is without
effect when no two of its values, all else equal, lead to different trainings.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict

from src.common.errors import UserError
from src.common.hashes import hash_of
from src.config.schema import AppConfig
from src.models.base import family
from src.pipeline.context import Inputs
from src.pipeline.request import SweepRequest
from src.sweeper.space import corners, overrides_of

MOST_CELLS = 256


def signature(cfg: AppConfig, inputs: Inputs) -> str:
    """Hash of what a training is given in the end, and of the tiles that it is judged with."""
    own = family(cfg.model.family)
    judged = [asdict(cfg.tiling)] if cfg.tiling is not None else []
    return hash_of([own.name, own.signature(cfg.training, inputs.dataset(cfg), inputs.start(cfg)), *judged])


def refuse_ineffective_keys(request: SweepRequest, inputs: Inputs) -> None:
    """Refuse a search space that holds a key without effect.

    Raises:
        UserError: naming the key.
    """
    cells = list(itertools.islice(corners(request.space), MOST_CELLS))
    seed = [f"seed={s}" for s in request.space.seeds[:1]]  # as they were checked, so that they are composed already
    signatures = [signature(request.config_of([*overrides_of(cell), *seed]), inputs) for cell in cells]
    for key, distribution in request.space.params.items():
        if getattr(distribution, "single", lambda: False)():
            continue
        groups: dict[str, set[str]] = {}
        for cell, found in zip(cells, signatures, strict=True):
            rest = repr({k: v for k, v in cell.items() if k != key})
            groups.setdefault(rest, set()).add(found)
        if len(cells) < MOST_CELLS and all(len(group) == 1 for group in groups.values()):
            raise UserError(
                f"{key} is swept, and none of its values changes what is trained",
                value=request.space.words[key],
                remedy=f"leave {key} out of the search space: {_reason(key)}",
            )


def _reason(key: str) -> str:
    if key.startswith("export.") and key != "export.targets":
        return f"give the same command again with another {key}: it exports, judges and measures, and trains nothing"
    if key.split(".")[0] in ("export", "runtime", "benchmark", "decision", "tracking", "study"):
        return "every finalist is exported, measured and judged with all of these anyway"
    if key == "model.weights":
        return "its values lead to the same starting weights here"
    return "with the rest of the configuration as it is, the training does not depend on it"
