"""The seam between the program and a family of detectors: everything that only that family's library can do.

A family is a folder beside this module whose `family` module holds one object, `FAMILY`, of the protocol below. A new
one takes that folder, a row in `MODULES` and a YAML in `conf/model/`. What its networks take and give are records
(`Input`, `Output`), so that no other room asks which family a file is of.

Importing a `family` module is cheap: torch and the family's own library are imported inside the methods that need them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from src.common.errors import UserError
from src.common.licences import both
from src.config.training import ModelConfig, Training
from src.records.model_io import Input, Output
from src.records.schema import Checkpoint, DatasetRef

if TYPE_CHECKING:
    from torch import Tensor, nn

MODULES = {
    "ultralytics": "src.models.ultralytics.family",
    "torchvision": "src.models.torchvision.family",
    "transformers": "src.models.transformers.family",
}

FALLBACK = "ultralytics"  # whose loader says what is wrong with a file that no family knows

EpochHook = Callable[[int, dict[str, float]], None]  # 1-based epoch and its metrics; what it raises ends the training


@dataclass(frozen=True)
class Start:
    """Where training begins: weights (a file or a folder; None = from scratch), and the words that the record keeps."""

    path: Path | None
    note: str
    architecture: str = ""  # as a published configuration describes it; "" = `model.architecture`

    def built(self, model: ModelConfig) -> str:
        """The architecture that is trained."""
        return self.architecture or model.architecture


@dataclass(frozen=True)
class TrainResult:
    """A checkpoint, how it came about, and the files that show it."""

    checkpoint: Checkpoint
    last: Path  # weights after the last epoch
    history: list[dict[str, float]]  # one row per epoch; "epoch" is 1-based
    files: list[Path] = field(default_factory=list)  # results.csv, and pictures of batches where the family draws them


@dataclass(frozen=True)
class Loaded:
    """A detector in memory, in evaluation mode, float32, on the processor.

    `module` takes what `input` says and answers with one tensor, or a tuple of tensors, as `output` says.
    """

    module: nn.Module
    names: list[str]  # of the classes; the index is the class id
    input: Input
    output: Output


@dataclass(frozen=True)
class ExportSource:
    """A network ready to be traced, with what a reader of the exported file has to know."""

    module: nn.Module
    names: list[str]
    input: Input
    output: Output
    dynamic_batch: bool  # whether a traced graph may take any number of images
    metadata: Mapping[str, str]  # entries for the exported file
    # The network with a grid that follows its input's size, in place of constants; None: it is made for one size.
    free_size: Callable[[], nn.Module] | None = None

    def example(self, batch: int = 1) -> Tensor:
        """An input to trace with, [batch, 3, height, width]."""
        import torch

        return torch.zeros(batch, 3, *self.input.size)


class Family(Protocol):
    """What a family of detectors can do. Paths and plain values go in, records come out."""

    name: str  # as in `model.family`
    licence: str  # SPDX expression of its code and of what is trained with it
    losses: tuple[str, ...]  # parts of its networks' losses: `train/<name>` in the rows of the history
    packages: tuple[str, ...]  # distributions beside torch whose versions decide what is trained and exported

    def scaled(self, model: ModelConfig) -> ModelConfig:
        """The model at `model.scale`: architecture, pretrained file and name in tables; as it is where that is null.

        Raises:
            UserError: there is no such size.
        """
        ...

    def check(self, training: Training) -> None:
        """Refuse what the family, this machine or the network can't do, before anything is trained.

        A sweep asks it of every cell, so what takes long is done once for all that it is equal for.

        Raises:
            UserError: naming the key, its value and the remedy.
        """
        ...

    def start(self, training: Training, folder: Path) -> Start:
        """The weights to start from, checked; pretrained files are kept in `folder`.

        Raises:
            UserError: the weights are missing, damaged, of another family, or need `model.trust`.
        """
        ...

    def check_start(self, training: Training, start: Start, dataset: DatasetRef) -> None:
        """Refuse starting weights of which nothing fits the network.

        Raises:
            UserError: naming the file.
        """
        ...

    def signature(self, training: Training, dataset: DatasetRef, start: Start) -> Any:
        """Plain data that is equal for two trainings exactly if they would train the same thing."""
        ...

    def train(
        self, training: Training, dataset: DatasetRef, start: Start, out: Path, threads: int, on_epoch: EpochHook
    ) -> TrainResult:
        """Train, or go on where a training in `out` was killed, bit for bit on the processor.

        Every row of the history holds `lr`, `train/*` losses, and `val/mAP50-95`, `val/mAP50`, `val/precision`,
        `val/recall` and `val/f1`.

        Raises:
            StageError: training failed (not a number in the loss, out of memory, …).
        """
        ...

    def forget_state(self, out: Path) -> None:
        """Remove the state that a training in `out` would go on from: its result is recorded."""
        ...

    def save_untrained(self, training: Training, start: Start, class_names: list[str], path: Path) -> Checkpoint:
        """Save the untrained network of a configuration: what it costs to run does not depend on its weights."""
        ...

    def recognises(self, path: Path) -> bool:
        """Whether a `.pt` file is one of this family's, found out without unpickling objects of it."""
        ...

    def load(self, path: Path | str, *, imgsz: int | None = None, trust: bool = False) -> Loaded:
        """Load a checkpoint for inference; `imgsz` is the input's side, px, None = as it was trained.

        Raises:
            UserError: the file is missing, damaged, of another kind, or needs `trust`.
        """
        ...

    def export_source(self, checkpoint: Checkpoint, *, trust: bool = False, fmt: str = "onnx") -> ExportSource:
        """The network in the form that exports well; `fmt` is the format it will be written in."""
        ...

    def weights_hash(self, path: Path) -> str:
        """sha256 over names, types, shapes and bytes of a checkpoint's tensors: equal for bit-identical trainings."""
        ...


def licence_of(training: Training, start: Start | None) -> str:
    """SPDX expression that binds what a training gives: the family's, and that of the weights that it started from."""
    own = family(training.model.family).licence
    return both(own, training.model.licence or "") if start is None or start.path is not None else own


def family(name: str) -> Family:
    """The family of this name.

    Raises:
        UserError: there is none.
    """
    if name not in MODULES:
        raise UserError(
            "no such family of detectors", value=f"model.family={name}", remedy=f"one of: {', '.join(MODULES)}"
        )
    found: Family = importlib.import_module(MODULES[name]).FAMILY
    return found


def family_of(path: Path) -> Family:
    """The family that wrote a `.pt` file; Ultralytics' where none knows it, whose loader says what is wrong with it."""
    others = (family(name) for name in MODULES if name != FALLBACK)
    return next((other for other in others if other.recognises(path)), family(FALLBACK))
