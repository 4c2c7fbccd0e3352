"""Ultralytics' detectors, YOLO and RT-DETR, as a family: see `src.models.base`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from src.common.errors import UserError
from src.config.ranges import ABOVE_0, refuse_outside
from src.config.training import ModelConfig, Training
from src.models.base import EpochHook, ExportSource, Loaded, Start, TrainResult
from src.models.checkpoints import pickle_holds
from src.models.ultralytics import outputs
from src.models.ultralytics.scales import scaled
from src.records.schema import Checkpoint, DatasetRef

MOST_PICKLE = 64 << 20  # bytes looked at: a network's classes come early
PUBLISHED = "https://github.com/ultralytics/assets/releases/download/v8.4.0"
NOT_FOR_TRANSFORMERS = {  # keys of `train`, and what to do instead
    "cls_pw": "",
    "distill_model": "",
    "qat": "",
    "box_loss": ": it matches and learns by giou",
    "focal_gamma": ": its loss of classes is a varifocal one",
    "focal_alpha": ": its loss of classes is a varifocal one",
    "label_smoothing": ": its targets are overlaps, not 1",
}


class Ultralytics:
    """YOLO and RT-DETR."""

    name = outputs.NAME
    licence = outputs.LICENCE
    losses: tuple[str, ...] = ("box_loss", "cls_loss", "dfl_loss")  # RT-DETR: giou_loss, cls_loss, l1_loss
    packages: tuple[str, ...] = ("ultralytics",)

    def scaled(self, model: ModelConfig) -> ModelConfig:
        """The model at `model.scale`."""
        return scaled(model)

    def check(self, training: Training) -> None:
        """Refuse what RT-DETR can't be trained with, and what only the machine or the network can tell."""
        from src.models.ultralytics.arguments import check_training

        # It takes no rate above 1, and would say so when a training begins.
        warm = training.train.warmup_bias_lr
        refuse_outside({"lr": (training.lr, ABOVE_0, 1), "train.warmup_bias_lr": (warm, 0, 1)})
        if training.model.architecture.startswith("rtdetr"):
            for key, why in NOT_FOR_TRANSFORMERS.items():
                if value := getattr(training.train, key):
                    raise UserError(
                        f"train.{key} is not to be had for RT-DETR{why}", value=value, remedy=f"leave train.{key} out"
                    )
        elif training.train.dropout:
            raise UserError(
                "train.dropout needs layers that drop, and YOLO has none: its batch norms take their place",
                value=training.train.dropout,
                remedy="leave train.dropout out; a larger train.weight_decay or augment=small_dataset helps against "
                "learning by heart, and model=rtdetr has such layers",
            )
        check_training(training)

    def start(self, training: Training, folder: Path) -> Start:
        """The weights to start from; a damaged or hostile file is found now, not in the middle of the first trial."""
        from src.models.ultralytics.checkpoint import load_checkpoint
        from src.models.weights import resolve_start

        if training.train.distill_model is not None:
            load_checkpoint(training.train.distill_model, training.model.trust)
        start = resolve_start(training.model, folder, PUBLISHED)
        if start.path is not None:
            load_checkpoint(start.path, training.model.trust)
        return start

    def check_start(self, training: Training, start: Start, dataset: DatasetRef) -> None:
        """Refuse starting weights of which nothing fits the network, and a state of other classes to go on with."""
        from src.models.ultralytics.more_epochs import check_classes
        from src.models.ultralytics.transfer import transfer

        check_classes(training, dataset.class_names)
        if start.path is not None:
            model = training.model
            transfer(start.path, model.architecture, len(dataset.class_names), model.trust)

    def signature(self, training: Training, dataset: DatasetRef, start: Start) -> Any:
        """Arguments, options and data of the training that Ultralytics would be asked for."""
        from src.models.ultralytics.arguments import Loading, training_arguments, training_options

        arguments = training_arguments(training, dataset, start.path, Path("x"))
        if arguments.get("patience", 0) >= arguments["epochs"]:
            arguments["patience"] = arguments["epochs"]  # stopping can't come before the end
        arguments.pop("cache")
        options = replace(training_options(training), loading=Loading())
        return [arguments, str(options), dataset.fingerprint]

    def train(
        self, training: Training, dataset: DatasetRef, start: Start, out: Path, threads: int, on_epoch: EpochHook
    ) -> TrainResult:
        """Train, or go on where a training in `out` was killed."""
        from src.models.ultralytics.training import train

        return train(training, dataset, start, out, threads, on_epoch)

    def forget_state(self, out: Path) -> None:
        """Remove the state that a training in `out` would go on from."""
        from src.models.ultralytics.training import forget_state

        forget_state(out)

    def save_untrained(self, training: Training, start: Start, class_names: list[str], path: Path) -> Checkpoint:
        """Save the untrained network of a configuration."""
        from src.models.ultralytics.untrained import save_untrained

        return save_untrained(training, class_names, path)

    def recognises(self, path: Path) -> bool:
        """Whether a checkpoint's pickle names a class of Ultralytics'; it is read as bytes, not unpickled."""
        return pickle_holds(path, "ultralytics", MOST_PICKLE)

    def load(self, path: Path | str, *, imgsz: int | None = None, trust: bool = False) -> Loaded:
        """Load a checkpoint with its batch norms folded."""
        from src.models.ultralytics.checkpoint import class_names, load_checkpoint
        from src.models.ultralytics.export_source import at_hand

        model: Any = at_hand(str(path))
        if model is None:
            model = load_checkpoint(path, trust)
            outputs.refuse_task(model, path)
            if not outputs.is_alone(model) and hasattr(model, "end2end"):
                model.end2end = False
        shape, output = outputs.input_of(model, imgsz), outputs.output_of(model)
        model = model.fuse(verbose=False).eval()
        model.model[-1].export = True  # one tensor instead of a tuple
        return Loaded(model, class_names(model), shape, output)

    def export_source(self, checkpoint: Checkpoint, *, trust: bool = False, fmt: str = "onnx") -> ExportSource:
        """The network in the mode that exports one output tensor."""
        from src.models.ultralytics.export_source import export_source

        return export_source(checkpoint, trust=trust, fmt=fmt)

    def weights_hash(self, path: Path) -> str:
        """sha256 over a checkpoint's tensors."""
        from src.models.ultralytics.training import weights_hash

        return weights_hash(path)


FAMILY = Ultralytics()
