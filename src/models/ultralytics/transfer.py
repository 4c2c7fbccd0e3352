"""What a starting checkpoint gives to a network: weights whose name and shape fit, the rest starts anew.

Ultralytics loads what fits and says little; here it is counted and named, and a file that does not fit at all is
refused instead of starting from scratch in silence.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from src.common.errors import UserError
from src.models.ultralytics.checkpoint import load_checkpoint
from src.models.ultralytics.network import build_network

SHOWN = 6  # layers named in the log
LEAST = 0.1  # share of the network's numbers; two architectures have a few tensors of equal name and shape by chance


@dataclass(frozen=True)
class Transfer:
    """Which tensors of a network a checkpoint fills."""

    loaded: list[str]
    missing: list[str]  # not in the checkpoint, or of another shape: these start anew

    @property
    def total(self) -> int:
        """Tensors of the network."""
        return len(self.loaded) + len(self.missing)

    def text(self) -> str:
        """One line for the log, naming the layers that start anew."""
        line = f"{len(self.loaded)} of {self.total} tensors are taken over"
        if not self.missing:
            return line
        layers = sorted({".".join(name.split(".")[:3]) for name in self.missing})
        more = f" and {len(layers) - SHOWN} more" if len(layers) > SHOWN else ""
        return f"{line}; these start anew: {', '.join(layers[:SHOWN])}{more}"


@functools.cache  # every trial of a sweep starts from the same few files
def transfer(path: Path, yaml: str, classes: int, trust: bool = False) -> Transfer:
    """What of a checkpoint fits a network with `classes` classes, by name and shape; nothing is trained or written.

    Rows of a class branch whose class has the same name are also taken over when training begins.

    Args:
        path: a checkpoint.
        yaml: the architecture to fill.
        classes: number of classes of the dataset.
        trust: allow a checkpoint that needs unsafe unpickling.

    Raises:
        UserError: the checkpoint can't be loaded, or next to nothing of it fits.
    """
    given = load_checkpoint(path, trust).state_dict()
    wanted = build_network(yaml, classes).state_dict()
    loaded = [n for n, value in wanted.items() if n in given and given[n].shape == value.shape]
    found = Transfer(loaded, [n for n in wanted if n not in set(loaded)])
    share = sum(wanted[n].numel() for n in loaded) / sum(value.numel() for value in wanted.values())
    if share < LEAST:
        raise UserError(
            f"model.weights holds another architecture: {share:.1%} of {yaml} would be taken over from it",
            value=path,
            remedy="choose the model that it was trained as (model=…), or model.weights=scratch",
        )
    return found
