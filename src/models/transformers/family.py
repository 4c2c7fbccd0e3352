"""The detectors of transformers as a family: see `src.models.base`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from src.common.errors import UserError
from src.common.hashes import sha256_file
from src.config.training import ModelConfig, Training, gpus_of
from src.models.base import EpochHook, ExportSource, Loaded, Start, TrainResult
from src.models.transformers.configurations import SMALLEST, check_architecture
from src.models.transformers.network import LICENCE, NAME, NETWORKS, input_of, output_of
from src.models.weights import resolve_start
from src.records.schema import Checkpoint, DatasetRef


class Transformers:
    """D-FINE, RF-DETR, DETR and YOLOS."""

    name = NAME
    licence = LICENCE
    losses: tuple[str, ...] = ("loss",)
    packages: tuple[str, ...] = ("transformers",)

    def scaled(self, model: ModelConfig) -> ModelConfig:
        """Its architectures come in one size each."""
        check_architecture(model.architecture)
        if model.scale is not None:
            raise UserError(
                f"{model.architecture} has no sizes", value=f"model.scale={model.scale}", remedy="leave model.scale out"
            )
        return model

    def check(self, training: Training) -> None:
        """Refuse keys that mean nothing here, sizes that are too small, and devices that are not there."""
        from src.models.devices import usable_gpus
        from src.models.torchvision.recipe import check_recipe

        _check_installed(training.model)
        check_recipe(training)
        if training.model.weights == "auto":
            raise UserError(
                "no weights are published for these small configurations",
                value=f"model.weights=auto with model={training.model.name}",
                remedy="model.weights=scratch, or the path of a checkpoint",
            )
        smallest = SMALLEST.get(training.model.architecture, 0)
        if training.imgsz < smallest:
            raise UserError(
                f"{training.model.name} can't take so small an image",
                value=f"imgsz={training.imgsz}",
                remedy=f"imgsz={smallest} or more",
            )
        if len(gpus_of(training.device)) > 1:
            raise UserError(
                "transformers' detectors train on one GPU",
                value=f"device={training.device}",
                remedy="device=cuda:0",
            )
        usable_gpus(training.device)
        if training.train.freeze_names:
            self._check_freeze(training)

    def _check_freeze(self, training: Training) -> None:
        from src.models.freezing import matching

        network = NETWORKS.build(training.model.architecture, 1, training.imgsz)
        names = [name for name, _ in network.named_parameters()]
        if len(matching(names, training.train.freeze_names)) == len(names):
            raise UserError(
                "train.freeze_names freezes the whole network",
                value=training.train.freeze_names,
                remedy="leave a layer free",
            )

    def start(self, training: Training, folder: Path) -> Start:
        """The weights to start from, read once to be sure of them."""
        from src.models.torchvision.checkpoint import start_weights

        start = resolve_start(training.model, folder, "")
        if start.path is not None:
            start_weights(start.path, NETWORKS)
        return start

    def check_start(self, training: Training, start: Start, dataset: DatasetRef) -> None:
        """Refuse starting weights of which nothing fits the network."""
        from src.models.torchvision.checkpoint import fill, start_weights

        if start.path is not None:
            network = NETWORKS.build(training.model.architecture, len(dataset.class_names), training.imgsz)
            fill(network, start_weights(start.path, NETWORKS), start.path)

    def signature(self, training: Training, dataset: DatasetRef, start: Start) -> Any:
        """Everything that decides the weights; the loop is torchvision's, and so is what has no effect in it."""
        from src.models.torchvision.family import FAMILY as TORCHVISION

        return [NAME, *TORCHVISION.signature(training, dataset, start)]

    def train(
        self, training: Training, dataset: DatasetRef, start: Start, out: Path, threads: int, on_epoch: EpochHook
    ) -> TrainResult:
        """Train, or go on where a training in `out` was killed."""
        from src.models.torchvision.training import train

        return train(training, dataset, start, out, threads, on_epoch, NETWORKS)

    def forget_state(self, out: Path) -> None:
        """Remove the state that a training in `out` would go on from."""
        from src.models.torchvision.state import State

        State(out).forget()

    def save_untrained(self, training: Training, class_names: list[str], path: Path) -> Checkpoint:
        """Save the untrained network of a configuration."""
        import torch

        from src.models.torchvision import checkpoint

        architecture, imgsz, classes = training.model.architecture, training.imgsz, len(class_names)
        torch.manual_seed(0)
        weights = NETWORKS.build(architecture, classes, imgsz).state_dict()
        checkpoint.save(path, checkpoint.Saved(architecture, class_names, imgsz, weights), NETWORKS)
        parameters, gflops = NETWORKS.size_of(architecture, classes, imgsz)
        sha = sha256_file(path)
        return Checkpoint(
            str(path), sha, sha, training.model.name, imgsz, 0, 0, 0, "untrained", parameters, gflops,
            family=NAME, licence=LICENCE, input=input_of(imgsz), output=output_of(architecture, classes),
        )  # fmt: skip

    def recognises(self, path: Path) -> bool:
        """Whether a file is a checkpoint that a training here wrote."""
        from src.models.torchvision.checkpoint import recognises

        return recognises(path, NETWORKS)

    def load(self, path: Path | str, *, imgsz: int | None = None, trust: bool = False) -> Loaded:
        """Load a checkpoint; nothing in it needs trust. Learned positions of another size are interpolated."""
        from src.models.torchvision.checkpoint import load, network_of
        from src.models.transformers.network import queries

        saved = load(path, NETWORKS)
        module = queries(network_of(saved, path, of=NETWORKS))
        shape = input_of(imgsz or saved.imgsz)
        return Loaded(module, saved.names, shape, output_of(saved.architecture, len(saved.names)))

    def export_source(self, checkpoint: Checkpoint, *, trust: bool = False, fmt: str = "onnx") -> ExportSource:
        """The network as it is; a traced graph takes one image, whose grid and anchors become constants."""
        found = self.load(checkpoint.path, imgsz=checkpoint.imgsz)
        entries = {
            "description": "detector exported by detsweep",
            "license": LICENCE,
            "task": "detect",
            "batch": "1",
            "imgsz": str([checkpoint.imgsz] * 2),
            "names": str(dict(enumerate(found.names))),
        }
        shape = input_of(checkpoint.imgsz, batch=1)
        return ExportSource(found.module, found.names, shape, found.output, dynamic_batch=False, metadata=entries)

    def weights_hash(self, path: Path) -> str:
        """sha256 over a checkpoint's tensors."""
        from src.models.torchvision.checkpoint import weights_hash

        return weights_hash(path, NETWORKS)


def _check_installed(model: ModelConfig) -> None:
    from importlib.util import find_spec

    missing = [name for name in ("transformers", "scipy") if find_spec(name) is None]
    if missing:
        raise UserError(
            f"model.family=transformers needs {' and '.join(missing)}",
            value=f"model={model.name}",
            remedy="pip install 'detsweep[transformers]'",
        )


FAMILY = Transformers()
