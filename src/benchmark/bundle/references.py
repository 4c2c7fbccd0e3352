"""Pictures that a bundle only refers to: private ones stay where they are, and are known by name and hash."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

from src.benchmark.bundle.plan import Picture, Plan
from src.common.errors import UserError
from src.common.hashes import sha256_file


def locate(plan: Plan, folder: Path, given: str | None) -> list[Path]:
    """Files of the pictures, in the plan's order; none where the bundle carries what it needs.

    Raises:
        UserError: no folder is given where one is needed, a picture is not in it, or nothing can decode them.
    """
    if plan.fitted:
        return []
    if not given:
        raise UserError(
            "the bundle refers to its pictures and does not carry them",
            remedy="--pictures DIR, the folder that holds them",
        )
    base = Path(given)
    if not base.is_dir():
        raise UserError("the folder of the pictures does not exist", value=given, remedy="--pictures DIR")
    if importlib.util.find_spec("cv2") is None:
        raise UserError(
            "pictures that the bundle does not carry are decoded here, which takes OpenCV",
            remedy="python -m pip install opencv-python-headless, or pack with pictures=bytes",
        )
    named: dict[str, list[Path]] = {}
    for path in _files(base):
        named.setdefault(path.name, []).append(path)
    return [_found(picture, named.get(picture.name, []), base) for picture in plan.pictures]


def _files(base: Path) -> Iterator[Path]:
    return (path for path in sorted(base.rglob("*")) if path.is_file())


def _found(picture: Picture, likely: list[Path], base: Path) -> Path:
    for path in likely:
        if sha256_file(path) == picture.sha256:
            return path
    what = "a picture differs from the one that the bundle was made with" if likely else "a picture is missing"
    raise UserError(what, value=likely[0] if likely else base / picture.name, remedy="copy the pictures again")
