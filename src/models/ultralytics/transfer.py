"""What a starting checkpoint gives to a network: weights whose name and shape fit, the rest starts anew.

Ultralytics loads what fits and says little; here it is counted and named, and a file that does not fit at all is
refused instead of starting from scratch in silence.
"""

from __future__ import annotations

import functools
from pathlib import Path

from src.common.errors import UserError
from src.models.taken_over import Transfer
from src.models.ultralytics.checkpoint import load_checkpoint
from src.models.ultralytics.network import build_network

LEAST = 0.1  # share of the network's numbers; two architectures have a few tensors of equal name and shape by chance


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
