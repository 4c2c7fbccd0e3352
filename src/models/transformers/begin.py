"""Where the training of a published model begins: a snapshot folder, a checkpoint of its kind, or the hub."""

from __future__ import annotations

import functools
from pathlib import Path

from src.common.errors import UserError
from src.config.training import ModelConfig
from src.models.base import Start
from src.models.torchvision import checkpoint
from src.models.transformers import published
from src.models.transformers.hub import place_of, published_files
from src.models.transformers.network import NETWORKS, queries
from src.models.transformers.sides import check_side
from src.models.transformers.snapshot import CONFIG, IMAGES, WEIGHTS, read_snapshot
from src.models.weights import SCRATCH, SCRATCH_FALLBACK, check_checkpoint_file, warn_of_scratch
from src.models.weights_download import MIRROR

SMALL = {"d_fine": "dfine_s", "rt_detr_v2": "rtdetrv2_s", "rf_detr": "rfdetr_s", "detr": "detr_s", "yolos": "yolos_s"}


def published_start(model: ModelConfig, folder: Path, url: str) -> Start:
    """The weights that a published model starts from, with its architecture.

    Args:
        model: group `model`.
        folder: where pretrained files are kept.
        url: of the hub.

    Raises:
        UserError: they are missing, damaged or of another model.
    """
    if model.weights in ("auto", "scratch"):
        return _kept_start(model, folder, url)
    path = Path(model.weights)
    if path.is_dir():
        return _snapshot_start(model, path, f"snapshot:{path.resolve().name}")
    check_checkpoint_file(path, model.family)
    saved = checkpoint.load(path, NETWORKS)
    if not published.is_published(saved.architecture):
        raise UserError(
            f"model.weights is a checkpoint of {saved.architecture}, which is no published model",
            value=path,
            remedy=f"model={saved.architecture}",
        )
    _check_kind(published.parsed(saved.architecture).kind, model, path)
    return Start(path, f"file:{path.name}", saved.architecture)


def _snapshot_start(model: ModelConfig, path: Path, note: str) -> Start:
    snapshot = read_snapshot(path)
    published.check_kind(snapshot, model.architecture)
    return Start(path, note, published.published(snapshot).text())


def _check_kind(kind: str, model: ModelConfig, path: Path) -> None:
    if model.architecture not in (kind, published.SNAPSHOT):
        raise UserError(
            f"model.weights is of another detector than was asked for: {kind}, not {model.architecture}",
            value=path,
            remedy="model=snapshot takes each of the five",
        )


def _kept_start(model: ModelConfig, folder: Path, url: str) -> Start:
    """From the hub or from what is kept of it; from nothing where only the architecture is at hand."""
    if not model.pretrained:
        raise UserError(
            f"model={model.name} has no published weights of its own",
            value=f"model.weights={model.weights}",
            remedy="model.weights=FOLDER with config.json and model.safetensors",
        )
    place = place_of(model.pretrained, folder)
    found = published_files(model.pretrained, folder, url) if model.weights == "auto" else []
    if WEIGHTS in found:
        return _snapshot_start(model, place, f"pretrained:{model.pretrained}")
    if not (place / CONFIG).is_file():
        raise UserError(
            f"{model.pretrained} is not in {place} and can't be downloaded, and without its {CONFIG} nobody knows its "
            "architecture",
            value=f"model={model.name} model.weights={model.weights}",
            remedy=f"model={SMALL.get(model.architecture, 'dfine_s')} model.weights=scratch, model.weights=FOLDER with "
            f"{CONFIG}, {IMAGES} and {WEIGHTS}, or a server that has them in {MIRROR}",
        )
    if model.weights == "auto":
        warn_of_scratch(model.pretrained, place)
    snapshot = read_snapshot(place, weights=False)
    published.check_kind(snapshot, model.architecture)
    note = SCRATCH if model.weights == "scratch" else SCRATCH_FALLBACK
    return Start(None, note, published.published(snapshot, frozen=False).text())


def check_fit(start: Start, classes: int, imgsz: int, name: str) -> None:
    """Refuse what would break a training: a size that can't be taken, weights that don't fit.

    Args:
        start: of a published model.
        classes: of the dataset.
        imgsz: side of the input, px.
        name: of the model, for messages.

    Raises:
        UserError: naming the key or the file.
    """
    check_side(start.architecture, imgsz, name)
    _try(start, classes, imgsz, name)


@functools.cache  # every trial of a sweep starts from the same few folders
def _try(start: Start, classes: int, imgsz: int, name: str) -> None:
    """Build the network, take the weights over, and look at one image."""
    import torch

    built = (start.architecture, classes, imgsz)
    network = NETWORKS.build(*built)
    checkpoint.begin(network, start, built, NETWORKS)
    try:
        with torch.inference_mode():
            queries(network)(torch.zeros(1, 3, imgsz, imgsz))
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise UserError(
            f"{name} can't take images of {imgsz} px ({reason})",
            value=f"imgsz={imgsz}",
            remedy="another multiple of 32",
        ) from None
