"""What a training loop and its checkpoints have to know of the family whose networks they hold."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from src.common.errors import UserError
from src.records.model_io import Input, Output

if TYPE_CHECKING:
    from torch import Tensor, nn


Built = tuple[str, int, int]  # architecture, classes and imgsz, px


@dataclass(frozen=True)
class Snapshots:
    """How a family builds networks that others have described and published in a folder of files."""

    holds: Callable[[str], bool]  # whether an architecture is the text of such a description
    weights: Callable[[Path, str, int, int], dict[str, Tensor]]  # of folder, architecture, classes and imgsz: what fits
    hashes: Callable[[Path], str]  # of the files of a folder that decide a training


@dataclass(frozen=True)
class Networks:
    """The networks of one family: in training they take images and targets as torchvision's do, and give losses."""

    family: str  # as in `model.family`
    licence: str  # SPDX expression
    marker: str  # in each of its checkpoints
    architectures: Collection[str]
    build: Callable[[str, int, int], nn.Module]  # of architecture, classes and imgsz, untrained
    size_of: Callable[[str, int, int], tuple[int, float]]  # of the same: parameters and GFLOPs
    input_of: Callable[[int], Input]  # of imgsz
    output_of: Callable[[str, int], Output]  # of architecture and classes
    backbone: tuple[str, ...] = ()  # beginnings of the names of its parameters; the rest is the head
    snapshots: Snapshots | None = None  # None: its architectures are those that it names
    half: tuple[str, ...] = ("fp16", "bf16")  # values of train.amp, beside fp32, that its losses can be computed in

    def knows(self, architecture: str) -> bool:
        """Whether it can be built: one of the family's own, or a published one."""
        return architecture in self.architectures or (self.snapshots is not None and self.snapshots.holds(architecture))


def check_architecture(name: str, known: Collection[str], family: str) -> None:
    """Refuse an architecture that a family does not build.

    Raises:
        UserError: naming it, and those that there are.
    """
    if name not in known:
        text = f"no such architecture of {family}"
        raise UserError(text, value=f"model.architecture={name}", remedy=", ".join(known))
