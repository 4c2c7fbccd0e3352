"""What families have in common whose networks are trained by this program's own loop, not by their library's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.common.errors import UserError
from src.common.hashes import sha256_file
from src.config.training import ModelConfig, Training, gpus_of
from src.models.base import EpochHook, Start, TrainResult, licence_of
from src.models.networks import Networks, check_architecture
from src.models.weights import resolve_start
from src.records.schema import Checkpoint, DatasetRef

if TYPE_CHECKING:
    from torch import nn


class TrainedHere:
    """The part of a family (see `src.models.base`) that follows from its networks.

    Args:
        networks: how they are built, and what they take and give.
        published: address of a folder of weights files; "" where there is none.
    """

    def __init__(self, networks: Networks, published: str = "") -> None:
        self._networks, self._published = networks, published
        self._names: dict[tuple[str, int], list[str]] = {}  # of parameters: every cell of a sweep asks for them

    def scaled(self, model: ModelConfig) -> ModelConfig:
        """Its architectures come in one size each."""
        check_architecture(model.architecture, self._networks.architectures, self._networks.family)
        return self._without_scale(model)

    def _without_scale(self, model: ModelConfig) -> ModelConfig:
        if model.scale is not None:
            raise UserError(
                f"{model.architecture} has no sizes", value=f"model.scale={model.scale}", remedy="leave model.scale out"
            )
        return model

    def check(self, training: Training) -> None:
        """Refuse keys that mean nothing here, and devices that are not there."""
        from src.models.devices import check_precision, usable_gpus
        from src.models.torchvision.recipe import check_recipe

        check_recipe(training)
        if len(gpus_of(training.device)) > 1:
            raise UserError(
                f"a {self._networks.family} detector trains on one GPU",
                value=f"device={training.device}",
                remedy="device=cuda:0",
            )
        gpus = usable_gpus(training.device)
        if training.train.amp != "fp32":
            self._check_half(training.train.amp)
            check_precision(training.train.amp, gpu=bool(gpus))
        if training.train.freeze_names and training.model.architecture in self._networks.architectures:
            self._check_freeze(training, training.model.architecture)

    def _check_half(self, amp: str) -> None:
        if amp not in self._networks.half:
            raise UserError(
                f"train.amp={amp} can't be had with model.family={self._networks.family}: its losses need another type",
                value=amp,
                remedy=f"train.amp={' or '.join(('fp32', *self._networks.half))}",
            )

    def _check_freeze(self, training: Training, architecture: str) -> None:
        from src.models.freezing import matching

        key = (architecture, training.imgsz)
        if key not in self._names:
            self._names[key] = [name for name, _ in self._bare(*key).named_parameters()]
        names = self._names[key]
        if len(matching(names, training.train.freeze_names)) == len(names):
            raise UserError(
                "train.freeze_names freezes the whole network",
                value=training.train.freeze_names,
                remedy="leave a layer free",
            )

    def _bare(self, architecture: str, imgsz: int) -> nn.Module:
        """A network whose parameters have names; their values are not looked at."""
        return self._networks.build(architecture, 1, imgsz)

    def start(self, training: Training, folder: Path) -> Start:
        """The weights to start from, read once to be sure of them."""
        from src.models.torchvision.checkpoint import start_weights

        start = resolve_start(training.model, folder, self._published)
        if start.path is not None:
            start_weights(start.path, self._networks)
        return start

    def check_start(self, training: Training, start: Start, dataset: DatasetRef) -> None:
        """Refuse starting weights of which nothing fits the network."""
        from src.models.torchvision.checkpoint import begin

        if start.path is not None:
            built = (start.built(training.model), len(dataset.class_names), training.imgsz)
            begin(self._networks.build(*built), start, built, self._networks)

    def signature(self, training: Training, dataset: DatasetRef, start: Start) -> Any:
        """Everything that decides the weights; keys that have no effect in this combination are left out."""
        from src.models.torchvision.recipe import signature

        return signature(training, dataset, start, self._networks)

    def train(
        self, training: Training, dataset: DatasetRef, start: Start, out: Path, threads: int, on_epoch: EpochHook
    ) -> TrainResult:
        """Train, or go on where a training in `out` was killed."""
        from src.models.torchvision.training import train
        from src.models.training_log import NAME, training_log

        with training_log(out / NAME):
            return train(training, dataset, start, out, threads, on_epoch, self._networks)

    def forget_state(self, out: Path) -> None:
        """Remove the state that a training in `out` would go on from."""
        from src.models.torchvision.state import State

        State(out).forget()

    def save_untrained(self, training: Training, start: Start, class_names: list[str], path: Path) -> Checkpoint:
        """Save the untrained network of a configuration."""
        import torch

        from src.models.torchvision import checkpoint

        of, architecture, imgsz, classes = self._networks, start.built(training.model), training.imgsz, len(class_names)
        torch.manual_seed(0)
        weights = of.build(architecture, classes, imgsz).state_dict()
        checkpoint.save(path, checkpoint.Saved(architecture, class_names, imgsz, weights), of)
        parameters, gflops = of.size_of(architecture, classes, imgsz)
        sha = sha256_file(path)
        return Checkpoint(
            str(path), sha, sha, training.model.name, imgsz, 0, 0, 0, "untrained", parameters, gflops,
            family=of.family, licence=licence_of(training, None), input=of.input_of(imgsz),
            output=of.output_of(architecture, classes),
        )  # fmt: skip

    def recognises(self, path: Path) -> bool:
        """Whether a file is a checkpoint that a training here wrote."""
        from src.models.torchvision.checkpoint import recognises

        return recognises(path, self._networks)

    def weights_hash(self, path: Path) -> str:
        """sha256 over a checkpoint's tensors."""
        from src.models.torchvision.checkpoint import weights_hash

        return weights_hash(path, self._networks)

    def entries(self, names: list[str], imgsz: int) -> dict[str, str]:
        """Entries for an exported file that takes one square image."""
        return {
            "description": "detector exported by detsweep",
            "license": self._networks.licence,
            "task": "detect",
            "batch": "1",
            "imgsz": str([imgsz] * 2),
            "names": str(dict(enumerate(names))),
        }
