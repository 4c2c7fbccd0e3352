"""Torchvision's detectors as a family: see `src.models.base`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from src.common.errors import UserError
from src.common.hashes import sha256_file
from src.config.training import ModelConfig, Training, gpus_of
from src.models.base import EpochHook, ExportSource, Loaded, Start, TrainResult, licence_of
from src.models.torchvision.network import check_architecture
from src.models.torchvision.outputs import LICENCE, NAME, input_of, output_of
from src.models.weights import resolve_start
from src.records.schema import Checkpoint, DatasetRef

PUBLISHED = "https://download.pytorch.org/models"


class Torchvision:
    """Faster R-CNN, RetinaNet, FCOS and SSDlite."""

    name = NAME
    licence = LICENCE
    losses: tuple[str, ...] = (
        *("loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg"),  # of two stages
        *("classification", "bbox_regression", "bbox_ctrness"),  # of one
    )
    packages: tuple[str, ...] = ("torchvision",)

    def scaled(self, model: ModelConfig) -> ModelConfig:
        """Its architectures come in one size each."""
        check_architecture(model.architecture)
        if model.scale is not None:
            raise UserError(
                f"{model.architecture} has no sizes", value=f"model.scale={model.scale}", remedy="leave model.scale out"
            )
        return model

    def check(self, training: Training) -> None:
        """Refuse keys that mean nothing here, and devices that are not there."""
        from src.models.devices import usable_gpus
        from src.models.torchvision.recipe import check_recipe

        check_recipe(training)
        if len(gpus_of(training.device)) > 1:
            raise UserError(
                "a torchvision detector trains on one GPU", value=f"device={training.device}", remedy="device=cuda:0"
            )
        usable_gpus(training.device)
        if training.train.freeze_names:
            self._check_freeze(training)

    def _check_freeze(self, training: Training) -> None:
        import torch

        from src.models.freezing import matching
        from src.models.torchvision.network import build_network

        with torch.device("meta"):
            network = build_network(training.model.architecture, 1, training.imgsz)
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

        start = resolve_start(training.model, folder, PUBLISHED)
        if start.path is not None:
            start_weights(start.path)
        return start

    def check_start(self, training: Training, start: Start, dataset: DatasetRef) -> None:
        """Refuse starting weights of which nothing fits the network."""
        from src.models.torchvision.checkpoint import fill, start_weights
        from src.models.torchvision.network import build_network

        if start.path is not None:
            network = build_network(training.model.architecture, len(dataset.class_names), training.imgsz)
            fill(network, start_weights(start.path), start.path)

    def signature(self, training: Training, dataset: DatasetRef, start: Start) -> Any:
        """Everything that decides the weights; keys that have no effect in this combination are left out."""
        from src.models.torchvision.recipe import accumulated

        t = asdict(training.train)
        for key in ("name", "plots", "cache", "channels_last", "workers", "nbs", "accumulate"):
            del t[key]
        for key in _without_effect(t):
            del t[key]
        if not t["patience"] or t["patience"] >= training.epochs:
            t = {k: v for k, v in t.items() if k not in ("patience", "stop_metric", "min_gain")}
        start_hash = sha256_file(start.path) if start.path else ""
        rest = [training.imgsz, training.lr, training.seed, training.epochs, training.batch, training.device]
        augment = {k: v for k, v in vars(training.augment).items() if k not in ("name", "close_mosaic")}
        steps = accumulated(training.train, training.batch)
        return [training.model.architecture, str(t), str(augment), rest, steps, start_hash, dataset.fingerprint]

    def train(
        self, training: Training, dataset: DatasetRef, start: Start, out: Path, threads: int, on_epoch: EpochHook
    ) -> TrainResult:
        """Train, or go on where a training in `out` was killed."""
        from src.models.torchvision.training import train

        return train(training, dataset, start, out, threads, on_epoch)

    def forget_state(self, out: Path) -> None:
        """Remove the state that a training in `out` would go on from."""
        from src.models.torchvision.state import State

        State(out).forget()

    def save_untrained(self, training: Training, class_names: list[str], path: Path) -> Checkpoint:
        """Save the untrained network of a configuration."""
        import torch

        from src.models.torchvision import checkpoint
        from src.models.torchvision.network import build_network, size_of

        architecture, imgsz = training.model.architecture, training.imgsz
        torch.manual_seed(0)
        weights = build_network(architecture, len(class_names), imgsz).state_dict()
        checkpoint.save(path, checkpoint.Saved(architecture, class_names, imgsz, weights))
        parameters, gflops = size_of(architecture, len(class_names), imgsz)
        sha = sha256_file(path)
        return Checkpoint(
            str(path), sha, sha, training.model.name, imgsz, 0, 0, 0, "untrained", parameters, gflops,
            family=NAME, licence=licence_of(training, None), input=input_of(imgsz), output=output_of(len(class_names)),
        )  # fmt: skip

    def recognises(self, path: Path) -> bool:
        """Whether a file is a checkpoint that a training here wrote."""
        from src.models.torchvision.checkpoint import recognises

        return recognises(path)

    def load(self, path: Path | str, *, imgsz: int | None = None, trust: bool = False) -> Loaded:
        """Load a checkpoint; nothing in it needs trust."""
        from src.models.torchvision.checkpoint import load, network_of
        from src.models.torchvision.outputs import listed

        saved = load(path)
        module = listed(network_of(saved, path, imgsz))
        return Loaded(module, saved.names, input_of(imgsz or saved.imgsz), output_of(len(saved.names)))

    def export_source(self, checkpoint: Checkpoint, *, trust: bool = False, fmt: str = "onnx") -> ExportSource:
        """The network with its suppression inside; a traced graph takes one image."""
        found = self.load(checkpoint.path, imgsz=checkpoint.imgsz)
        entries = {
            "description": "detector exported by detsweep",
            "license": LICENCE,
            "task": "detect",
            "batch": "1",
            "imgsz": str([checkpoint.imgsz] * 2),
            "names": str(dict(enumerate(found.names))),
            "end2end": "True",
        }
        shape = input_of(checkpoint.imgsz, batch=1)
        return ExportSource(found.module, found.names, shape, found.output, dynamic_batch=False, metadata=entries)

    def weights_hash(self, path: Path) -> str:
        """sha256 over a checkpoint's tensors."""
        from src.models.torchvision.checkpoint import weights_hash

        return weights_hash(path)


def _without_effect(t: dict[str, Any]) -> list[str]:
    """Keys of the recipe that change nothing, given the others."""
    dead = []
    if t["schedule"] != "step":
        dead += ["step_epochs", "step_gamma"]
    if t["schedule"] != "onecycle":
        dead += ["onecycle_rise", "onecycle_start"]
    if t["schedule"] == "step":
        dead += ["lrf"]
    if not t["ema"]:
        dead += ["ema_decay", "ema_tau"]
    if not t["warmup_epochs"]:
        dead += ["warmup_momentum", "warmup_bias_lr"]
    if not t["freeze_names"]:
        dead += ["unfreeze_epoch"]
    return dead


FAMILY = Torchvision()
