"""Fetches what Hugging Face publishes of a model: its three files, by this program's own fetcher, once."""

from __future__ import annotations

import re
from pathlib import Path

from src.common.errors import UserError
from src.models.safetensors_file import check_safetensors
from src.models.transformers.snapshot import CONFIG, IMAGES, WEIGHTS, check_json
from src.models.weights_download import Check, check_kept, fetch

HUB = "https://huggingface.co"
NAME = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([A-Za-z0-9][\w.-]*))?")  # owner/model[@revision]
CHECKS: dict[str, Check] = {CONFIG: check_json, IMAGES: check_json, WEIGHTS: check_safetensors}  # in this order


def place_of(name: str, folder: Path) -> Path:
    """Where the files of a published model are kept."""
    return folder / re.sub(r"[/@]", "--", _named(name)[0])


def _named(name: str) -> tuple[str, str, str]:
    """The name, and its model and revision."""
    found = NAME.fullmatch(name)
    if found is None:
        raise UserError(
            "model.pretrained is no name of a published model",
            value=name,
            remedy="OWNER/MODEL or OWNER/MODEL@REVISION, e.g. ustc-community/dfine-small-coco",
        )
    return name, found[1], found[2] or "main"


def published_files(name: str, folder: Path, url: str = HUB) -> list[str]:
    """Have the files of a published model in `place_of`, from there or from the hub; returns which there are.

    Args:
        name: as on the hub.
        folder: where pretrained files are kept.
        url: of the hub; `DETSWEEP_WEIGHTS_URL` names a server that has the same paths.

    Raises:
        UserError: a kept file has changed.
    """
    _, model, revision = _named(name)
    place, found = place_of(name, folder), []
    for file, check in CHECKS.items():
        kept = place / file
        if not (kept.is_file() or fetch(f"{model}/resolve/{revision}/{file}", kept, url, check)):
            if file == IMAGES and (place / WEIGHTS).is_file():  # put there by hand, without what may be left out
                continue
            break
        check_kept(kept)
        found.append(file)
    return found
