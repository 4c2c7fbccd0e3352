"""Decides which weights a training starts from: a file, a download that the user's configuration asks for, or none.

`model.weights=auto` takes the pretrained file from `outputs/weights/` or fetches it once from where its
family publishes it. Where that fails (no network), training starts from scratch, and says so. The choice is made once a
sweep and handed to every trial, so that trials never differ in their start.
"""

from __future__ import annotations

import logging
import os
import shutil
import urllib.error
import urllib.request
from pathlib import Path

from src.common.errors import UserError
from src.common.whole_files import whole_file
from src.config.training import ModelConfig
from src.models.base import Start

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0
SMALLEST = 100_000  # bytes; anything smaller is an error page
ZIP_MAGIC = b"PK\x03\x04"  # every checkpoint written by torch.save since 1.6 is a zip archive
SCRATCH = "scratch"
SCRATCH_FALLBACK = "scratch (no pretrained weights at hand)"


def resolve_start(model: ModelConfig, folder: Path, url: str) -> Start:
    """The weights file to start from, and the words that the record keeps.

    Args:
        model: group `model`.
        folder: where pretrained files are kept.
        url: of the folder that they are published in.

    Raises:
        UserError: `model.weights` names a file that is no checkpoint.
    """
    if model.weights == "scratch":
        return Start(None, SCRATCH)
    if model.weights != "auto":
        path = Path(model.weights)
        check_checkpoint_file(path)
        return Start(path, f"file:{path.name}")
    kept = folder / model.pretrained
    if kept.is_file() or fetch(model.pretrained, kept, url):
        return Start(kept, f"pretrained:{model.pretrained}")
    log.warning(
        "NO PRETRAINED WEIGHTS: %s is not in %s and can't be downloaded; training starts FROM SCRATCH. "
        "Accuracy will be far below a fine-tuned model's. Put the file there or pass model.weights=PATH.",
        model.pretrained,
        folder,
    )
    return Start(None, SCRATCH_FALLBACK)


def check_checkpoint_file(path: Path) -> None:
    """Refuse a file that can't be a checkpoint, without unpickling anything."""
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


def fetch(name: str, target: Path, url: str) -> bool:
    """Download a published weights file to `target`; False when the network is away or switched off."""
    if os.environ.get("YOLO_OFFLINE", "").lower() in ("1", "true") or os.environ.get("DETSWEEP_OFFLINE") == "1":
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with whole_file(target) as aside:
            with urllib.request.urlopen(f"{url}/{name}", timeout=TIMEOUT_S) as answer, open(aside, "wb") as stream:
                shutil.copyfileobj(answer, stream)
            if aside.stat().st_size < SMALLEST or aside.read_bytes()[:4] != ZIP_MAGIC:
                raise ValueError("no checkpoint")  # an exception: the file aside goes
    except (OSError, urllib.error.URLError, ValueError):
        return False
    return True
