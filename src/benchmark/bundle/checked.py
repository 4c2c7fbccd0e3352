"""What comes from a device is foreign: samples and boxes are looked at before anything is made of them."""

from __future__ import annotations

import base64
import binascii
import io
import math
import zipfile
import zlib
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from src.benchmark.bundle.plan import check_processor
from src.benchmark.bundle.results import Found, Problem, Results
from src.common.errors import UserError
from src.common.redaction import redact_text
from src.common.whole_files import write_bytes

MOST_UNPACKED = 1 << 30  # bytes of detections
ARRAYS = {"image_index", "boxes", "scores", "classes", "n_images", "digests"}
REMEDY = "measure again: python run.py --fresh"
LONGEST = 500  # characters of a device's text
MOST_CORES = 1 << 16
MOST_MB = 1e8  # of memory: a hundred terabytes
MOST_LIBRARIES = 1000
ROWS = {"facts": 100, "problems": 10_000, "zeros": 100}


def foreign(text: str) -> str:
    """A device's text as it may be kept and shown: one line, no codes for a terminal, no secrets."""
    return " ".join(printable(text).split())[:LONGEST]


def printable(text: str) -> str:
    """A device's line as it may be printed, at its own spacing."""
    return redact_text("".join(c if c.isprintable() else " " for c in text[: 4 * LONGEST]))


def cleaned(results: Results, file: Path) -> Results:
    """The results with texts that may be shown.

    Raises:
        UserError: a time, processor or number of the run is none.
    """
    try:
        for name in ("started_at", "finished_at"):
            datetime.fromisoformat(getattr(results, name))
        check_processor(results.device)
        _check_count("threads", results.threads)
        _check_count("cores", results.environment.get("cores"))
        if number(results.environment.get("memory_gb")) < 0:
            raise ValueError("memory_gb is no size")
        if long := next((name for name, most in ROWS.items() if len(getattr(results, name)) > most), None):
            raise ValueError(f"{long} holds {len(getattr(results, long))} entries")
        libraries = results.environment.get("libraries")
        if isinstance(libraries, dict) and len(libraries) > MOST_LIBRARIES:
            raise ValueError(f"libraries holds {len(libraries)} entries")
        if odd := [size for size in results.zeros.values() if not is_size(size)]:
            raise ValueError(f"zeros holds {odd[0]}, which is no size")
    except (UserError, ValueError) as error:
        raise UserError(f"the results are malformed ({foreign(str(error))[:300]})", value=file, remedy=REMEDY) from None
    problems = [Problem(*(foreign(v) for v in (p.stage, p.target, p.kind, p.message))) for p in results.problems]
    facts = {foreign(name): foreign(value) for name, value in results.facts.items()}
    return replace(results, environment=_texts(results.environment), problems=problems, facts=facts)


def _texts(value: Any) -> Any:
    """The same data with texts that may be shown."""
    if isinstance(value, str):
        return foreign(value)
    if isinstance(value, dict):
        return {foreign(k): _texts(v) for k, v in value.items()}
    return value


def _check_count(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_CORES:
        raise ValueError(f"{name} is {str(value)[:40]!r}")


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


def number(value: Any) -> float:
    """A figure that a system may not show: NaN then."""
    known = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= 1e300
    return float(value) if known else math.nan


def is_size(megabytes: float) -> bool:
    """Whether this can be a size of memory; NaN where the system doesn't show it."""
    return math.isnan(megabytes) or 0 <= megabytes <= MOST_MB
