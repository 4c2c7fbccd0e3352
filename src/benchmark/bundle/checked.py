"""What comes from a device is foreign: samples and boxes are looked at before anything is made of them."""

from __future__ import annotations

import base64
import binascii
import io
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from src.benchmark.bundle.plan import Plan
from src.benchmark.bundle.results import Found
from src.common.errors import UserError
from src.common.whole_files import write_bytes

MOST_UNPACKED = 1 << 30  # bytes of detections
ARRAYS = {"image_index", "boxes", "scores", "classes", "n_images", "digests"}
REMEDY = "measure again: python run.py --fresh"


def keep_detections(item: Found, images: int, path: Path, file: Path) -> None:
    """Write the boxes of an accuracy pass to `path`.

    Raises:
        UserError: they are malformed, or of another number of pictures; `file` is where they come from.
    """
    try:
        content = base64.b64decode(item.detections, validate=True)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MOST_UNPACKED:
                raise ValueError("they are too large")
        with np.load(io.BytesIO(content), allow_pickle=False) as saved:
            _check_detections({name: saved[name] for name in saved.files}, images)
    except (binascii.Error, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        what = f"the detections of candidate {item.id} are malformed ({str(error)[:200]})"
        raise UserError(what, value=file, remedy=REMEDY) from None
    write_bytes(path, content)


def _check_detections(arrays: dict[str, Any], images: int) -> None:
    """Raises ValueError or KeyError where the arrays are not what `predict` saves."""
    if not arrays.keys() >= ARRAYS or int(arrays["n_images"]) != images:
        raise ValueError(f"they are not of {images} pictures")
    count = len(arrays["scores"])
    if arrays["boxes"].shape != (count, 4) or any(
        arrays[n].shape != (count,) for n in ("image_index", "classes", "scores")
    ):
        raise ValueError("their arrays don't fit together")
    if arrays["digests"].shape != (images, 2) or not all(
        np.isfinite(arrays[n]).all() for n in ("boxes", "scores", "digests")
    ):
        raise ValueError("they hold what is no number")
    if count and not 0 <= arrays["image_index"].min() <= arrays["image_index"].max() < images:
        raise ValueError("they name pictures that the bundle does not hold")


def check_rounds(item: Found, plan: Plan, file: Path) -> None:
    """Refuse blocks that a worker can't have written.

    Raises:
        UserError: naming the candidate and what is wrong.
    """
    try:
        if len(item.rounds) < plan.times.rounds:
            raise ValueError(f"{len(item.rounds)} of {plan.times.rounds} rounds")
        parts = sorted(key for key in item.rounds[0] if "/" in key)
        for answer in item.rounds:
            if sorted(key for key in answer if "/" in key) != parts or not any(
                p.startswith("model_only/") for p in parts
            ):
                raise ValueError("its rounds have different parts")
            for name in ("load_ms", "cold_ms"):
                _positive([answer[name]])
            for part in parts:
                _check_part(part, answer[part])
            if not isinstance(answer["runtime_version"], str) or not isinstance(answer["device"], str):
                raise ValueError("its runtime has no version")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"the samples of candidate {item.id} are malformed ({str(error)[:200]})"
        raise UserError(what, value=file, remedy=REMEDY) from None


def _check_part(name: str, part: dict[str, Any]) -> None:
    scope, _, batch = name.partition("/")
    if scope not in ("model_only", "end_to_end") or not batch.isdigit() or int(batch) < 1:
        raise ValueError(f"{name} is no part of a block")
    _positive(part["samples_ms"])
    for values in part["stages_ms"].values():
        _positive(values, least=0.0)
    if not isinstance(part["warmup_calls"], int) or not isinstance(part["digest"], list):
        raise ValueError(f"{name} is no part of a block")
    part["peak_mb"] = _number(part["peak_mb"])
    part["vram_mb"] = _number(part.get("vram_mb"))
    part["energy_j"] = _joules(part.get("energy_j"))
    share = part.get("foreign_cpu")
    if share is not None and not 0 <= float(share) <= 1:
        raise ValueError(f"{name}: others had {share} of the cores")


def _positive(values: Any, least: float = 1e-9) -> None:
    if not isinstance(values, list) or not values:
        raise ValueError("there are no samples")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value < math.inf:
            raise ValueError(f"{value!r} is no duration")


def _joules(counted: Any) -> dict[str, float]:
    """Energy by counter, which bundles of earlier versions and machines without counters don't tell.

    Raises:
        ValueError: a counter says what is no energy.
    """
    found = {str(name): _number(joules) for name, joules in (counted or {}).items()}
    if not all(0 <= joules < math.inf for joules in found.values()):
        raise ValueError("a counter of energy says what is none")
    return found


def _number(value: Any) -> float:
    """A figure that a system may not show: NaN then."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
