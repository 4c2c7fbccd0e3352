"""Decides which weights a training starts from: a file, a download that the user's configuration asks for, or none.

`model.weights=auto` takes the pretrained file from `outputs/weights/` or fetches it once from where its
family publishes it. Where that fails (no network), training starts from scratch, and says so. The choice is made once a
sweep and handed to every trial, so that trials never differ in their start.
"""

from __future__ import annotations

import logging
from pathlib import Path

from src.common.errors import UserError
from src.config.training import ModelConfig
from src.models.base import MODULES, Start, family
from src.models.weights_download import MIRROR, ZIP_MAGIC, check_kept, fetch

log = logging.getLogger(__name__)

SCRATCH = "scratch"
SCRATCH_FALLBACK = "scratch (no pretrained weights at hand)"


def resolve_start(model: ModelConfig, folder: Path, url: str) -> Start:
    """The weights file to start from, and the words that the record keeps.

    Args:
        model: group `model`.
        folder: where pretrained files are kept.
        url: of the folder that they are published in.

    Raises:
        UserError: `model.weights` names a file that is no checkpoint, or a kept file has changed.
    """
    if model.weights == "scratch":
        return Start(None, SCRATCH)
    if model.weights != "auto":
        path = Path(model.weights)
        check_checkpoint_file(path, model.family)
        return Start(path, f"file:{path.name}")
    kept = folder / model.pretrained
    if kept.is_file() or fetch(model.pretrained, kept, url):
        check_kept(kept)
        return Start(kept, f"pretrained:{model.pretrained}")
    warn_of_scratch(model.pretrained, folder)
    return Start(None, SCRATCH_FALLBACK)


def warn_of_scratch(pretrained: str, folder: Path) -> None:
    """Say that the published weights can't be had, and what follows."""
    log.warning(
        "NO PRETRAINED WEIGHTS: %s is not in %s and can't be downloaded; training starts FROM SCRATCH. "
        "Accuracy will be far below a fine-tuned model's. Put the file there, pass model.weights=PATH, or name a "
        "folder that has it in the environment variable %s.",
        pretrained,
        folder,
        MIRROR,
    )


def check_checkpoint_file(path: Path, own: str) -> None:
    """Refuse a file that can't be a checkpoint, or is one of another family, without unpickling anything.

    Args:
        path: the file.
        own: family that is to be trained.

    Raises:
        UserError: naming the file, and the family that wrote it.
    """
    if path.is_dir():
        raise UserError(
            "model.weights is a folder, and this model starts from a file",
            value=path,
            remedy=f"model=snapshot model.weights={path} for a published model of transformers, or a .pt file",
        )
    try:
        with open(path, "rb") as stream:
            magic = stream.read(len(ZIP_MAGIC))
    except OSError as error:
        raise UserError(
            "model.weights can't be read", value=path, remedy=f"check the path ({error.strerror})"
        ) from None
    if magic != ZIP_MAGIC:
        raise UserError(
            "model.weights is no PyTorch checkpoint",
            value=path,
            remedy="pass a .pt file of this family, or model.weights=scratch",
        )
    wrote = {name for name in MODULES if family(name).recognises(path)}
    if wrote and own not in wrote:
        other = min(wrote)
        raise UserError(
            f"model.weights is a checkpoint of the family {other}, and a detector of {own} is to be trained",
            value=path,
            remedy=f"a model=… of {other}, a .pt file of {own}, or model.weights=scratch",
        )
