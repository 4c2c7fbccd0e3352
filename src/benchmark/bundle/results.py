"""What a device gives back: `results.json`, with every raw sample, under a checksum.

The checksum tells damage and edits by hand. It is no signature: who owns the device can make it say anything.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.common.errors import UserError
from src.common.json_values import plain
from src.common.whole_files import read_regular, write_text
from src.records.parsing import RecordError, parse

FILE = "results.json"
MOST = 1 << 30  # bytes: raw samples and detections of many candidates
AGAIN = "copy the file again from the device"


@dataclass(frozen=True)
class Problem:
    """Something that was not measured, and why."""

    stage: str  # verify or benchmark
    target: str
    kind: str  # unavailable or error
    message: str


@dataclass(frozen=True)
class Found:
    """What was measured of one candidate."""

    id: str
    artifact_sha256: str
    runtime: str
    rounds: list[dict[str, Any]]  # what the process of each round answered
    retakes: int  # blocks measured again, because others disturbed them
    detections: str  # npz of the accuracy pass, in base64


@dataclass(frozen=True)
class Results:
    """All that was found on a device."""

    protocol: int
    bundle_sha256: str
    sweep: str
    started_at: str  # ISO 8601, UTC, by the device's clock
    finished_at: str
    environment: dict[str, Any]
    device: str
    threads: int
    zeros: dict[str, float]  # peak of a process without an engine, MB, by image size
    candidates: list[Found]
    problems: list[Problem]
    facts: dict[str, str] = field(default_factory=dict)


def save_results(path: Path, results: Results) -> None:
    """Write the file, whole or not at all."""
    content = plain(dataclasses.asdict(results))
    write_text(path, json.dumps({**content, "sha256": checksum(content)}, sort_keys=True, allow_nan=False) + "\n")


def checksum(content: dict[str, Any]) -> str:
    """Hash of plain data, however its file is laid out."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def load_results(path: Path) -> tuple[Results, str]:
    """The results in a file, and its checksum.

    Raises:
        UserError: it is missing, damaged, altered or of another protocol.
    """
    from src.benchmark.bundle.plan import PROTOCOL

    try:
        raw = json.loads(read_regular(path, MOST).decode("utf-8"), parse_constant=_refuse)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"the results can't be read ({str(error)[:200]})", value=path, remedy=AGAIN) from None
    if not isinstance(raw, dict) or "bundle_sha256" not in raw:
        raise UserError("the file holds no results of a bundle", value=path, remedy="results=…/results.json")
    if raw.get("protocol") != PROTOCOL:
        what = f"the results are of protocol {raw.get('protocol')!r}, and this program reads {PROTOCOL}"
        raise UserError(what, value=path, remedy="make the bundle again with this version, and measure again")
    given = raw.pop("sha256", None)
    if given != checksum(raw):
        raise UserError("the results were altered, or damaged on their way", value=path, remedy=AGAIN)
    try:
        return parse(Results, raw, str(path)), str(given)
    except RecordError as error:
        raise UserError(f"the results are malformed ({str(error)[:300]})", remedy=AGAIN) from None


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON")
