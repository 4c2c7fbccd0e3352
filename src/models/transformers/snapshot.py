"""A snapshot folder as Hugging Face publishes it: `config.json`, `model.safetensors`, `preprocessor_config.json`.

Read as data: JSON of a bounded size, and a header that has to agree with its file. Nothing is unpickled, and no key of
the configuration can name code, a hub or a file: `src.models.transformers.published` keeps those that say how the
network is built.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.common.errors import UserError
from src.models.safetensors_file import entries

CONFIG, WEIGHTS, IMAGES = "config.json", "model.safetensors", "preprocessor_config.json"
LARGEST_JSON = 1 << 20  # bytes; those of detectors have ten thousand
LARGEST_NUMBER = 100_000  # in a configuration: a width, a side, a count
MOST_LAYERS = 200
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "model.pth")
CONVERT = "convert it where it can be trusted: AutoModelForObjectDetection.from_pretrained(FOLDER).save_pretrained(NEW)"


@dataclass(frozen=True)
class Snapshot:
    """What a folder says, without its weights."""

    folder: Path
    config: dict[str, Any]
    images: dict[str, Any] | None  # how pictures are prepared; None where the folder doesn't say it

    @property
    def kind(self) -> str:
        """`model_type` of transformers."""
        return str(self.config.get("model_type", ""))


def read_snapshot(folder: Path, *, weights: bool = True) -> Snapshot:
    """Read and check a folder; the tensors themselves are left for later.

    Args:
        folder: with the files.
        weights: whether it must hold them too.

    Raises:
        UserError: a file is missing, damaged or pickled.
    """
    config = read_config(folder)
    if weights:
        check_weights(folder)
    images = folder / IMAGES
    return Snapshot(folder, config, read_json(images) if images.is_file() else None)


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration of a folder.

    Raises:
        UserError: it is missing, no JSON, or beyond every detector.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise UserError(
            f"the snapshot folder has no {CONFIG}, which says how the network is built",
            value=folder,
            remedy=f"copy {CONFIG} and {WEIGHTS} of the model there",
        )
    config = read_json(path)
    _check_numbers(config, path)
    return config


def check_weights(folder: Path) -> None:
    """Refuse a folder without whole safetensors.

    Raises:
        UserError: they are missing, damaged, in several files, or pickled.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        pickled = [name for name in PICKLED if (folder / name).exists()]
        if pickled:
            raise UserError(
                f"the snapshot folder has pickled weights alone ({pickled[0]}), and reading them could run code",
                value=folder,
                remedy=CONVERT,
            )
        several = (folder / f"{WEIGHTS}.index.json").exists()
        what = f"its weights in several files, not one {WEIGHTS}" if several else f"no {WEIGHTS}"
        raise UserError(f"the snapshot folder has {what}", value=folder, remedy=f"copy {CONFIG} and {WEIGHTS} there")
    try:
        entries(path)
    except (ValueError, OSError) as error:
        raise UserError(
            f"{WEIGHTS} is damaged or no safetensors file: {error}", value=path, remedy="copy it again, whole"
        ) from None


def check_json(path: Path, name: str) -> None:
    """Refuse what is no JSON object; for the fetcher, which names it by `name`.

    Raises:
        ValueError: with the reason.
    """
    try:
        read_json(path)
    except UserError as error:
        raise ValueError(str(error.what)) from None


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a bounded size.

    Raises:
        UserError: it is none.
    """
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise ValueError(f"more than {LARGEST_JSON} bytes")
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("no JSON object")
    except (ValueError, RecursionError, OSError) as error:
        raise UserError(
            f"{path.name} is no JSON that can be read ({str(error)[:100]})", value=path, remedy="copy it again, whole"
        ) from None
    return found


def _check_numbers(value: Any, path: Path, key: str = "") -> None:
    """Refuse sizes that no detector has, before memory is asked for them."""
    if isinstance(value, dict):
        for name, inner in value.items():
            _check_numbers(inner, path, str(name))
    elif isinstance(value, list):
        for inner in value:
            _check_numbers(inner, path, key)
    elif isinstance(value, int | float):
        most = (
            MOST_LAYERS if any(word in key for word in ("layers", "depths", "blocks", "group_detr")) else LARGEST_NUMBER
        )
        if not abs(value) <= most:
            raise UserError(
                f"{path.name} has a number that no detector has: {key} may be {most} at most",
                value=f"{key}={value}",
                remedy="the file that the model was published with",
            )
