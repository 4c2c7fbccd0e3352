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

from src.benchmark.bundle.plan import Plan, check_processor
from src.benchmark.bundle.results import Found, Problem, Results
from src.common.errors import UserError
from src.common.redaction import redact_text
from src.common.whole_files import write_bytes

MOST_UNPACKED = 1 << 30  # bytes of detections
ARRAYS = {"image_index", "boxes", "scores", "classes", "n_images", "digests"}
REMEDY = "measure again: python run.py --fresh"
LONGEST = 500  # characters of a device's text
MOST_CORES = 1 << 16
MOST_MS = 1e10  # a hundred days
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
        if _number(results.environment.get("memory_gb")) < 0:
            raise ValueError("memory_gb is no size")
        if long := next((name for name, most in ROWS.items() if len(getattr(results, name)) > most), None):
            raise ValueError(f"{long} holds {len(getattr(results, long))} entries")
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
            for name in ("runtime_version", "device"):
                if not isinstance(answer[name], str):
                    raise ValueError(f"its runtime has no {name}")
                answer[name] = foreign(answer[name])
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
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= MOST_MS:
            raise ValueError(f"{str(value)[:40]} is no duration")


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
    known = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= 1e300
    return float(value) if known else math.nan
