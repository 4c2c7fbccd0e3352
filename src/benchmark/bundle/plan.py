"""What a bundle is to measure, and how: `plan.json`. Its hash names the bundle, and it holds the hash of every file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from src.common.errors import UserError
from src.common.hashes import sha256_file
from src.common.whole_files import read_regular
from src.records.parsing import RecordError, parse
from src.records.schema import Artifact

PROTOCOL = 1  # of plan, blocks and results; another number means that they don't compare
FILE = "plan.json"
AGAIN = "make the bundle again: python -m src.benchmark pack sweep=NAME out=DIR"


@dataclass
class Times:
    """How long and how often to measure, as the group `benchmark` has it."""

    warmup: int
    min_seconds: float
    min_samples: int
    max_seconds: float
    rounds: int
    batches: list[int]
    precision: float
    extra_seconds: float


@dataclass(frozen=True)
class Picture:
    """One image of the accuracy check."""

    name: str  # of its file
    sha256: str
    index: int  # in its split


@dataclass(frozen=True)
class Candidate:
    """An artifact on a runtime, and what is known of it from the machine that made the bundle."""

    id: str  # 01, 02, …
    artifact: dict[str, Any]  # the record, its path relative to the bundle
    runtime: str
    label: str  # of the configuration, for people
    runtime_version: str  # that it was verified with; "" where it was not measured there
    p50_ms: float  # at batch 1; 0 = not measured there
    digests: list[list[float]]  # of the outputs for every picture; [] = it did not run there

    @property
    def target(self) -> str:
        """`runtime/format/precision`, as in metric names."""
        return f"{self.runtime}/{self.artifact['format']}/{self.artifact['precision']}"


@dataclass(frozen=True)
class LeftOut:
    """A candidate that the bundle does not hold."""

    target: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """All that a runner has to know."""

    protocol: int
    sweep: str
    made_at: str  # ISO 8601, UTC
    split: str
    dataset: str  # fingerprint
    images_in_split: int
    times: Times
    statistic: str  # the decisive figure, and its part of a block (`scope/batch`)
    part: str
    device: str  # cpu, cuda or cuda:N
    threads: int  # 0 = all cores there
    seed: int  # of the order of blocks
    pictures: list[Picture]  # the ring first
    fitted: dict[str, str] = field(default_factory=dict)  # file of the resized pictures, by `pictures.key_of`
    ring: list[str] = field(default_factory=list)  # files of the ring as they are, for the time from file to boxes
    candidates: list[Candidate] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    packages: dict[str, str] = field(default_factory=dict)  # runtime -> what pip installs, with the version here
    files: dict[str, str] = field(default_factory=dict)  # every other file of the bundle -> sha256

    def artifact(self, candidate: Candidate, folder: Path) -> Artifact:
        """The artifact of a candidate where the bundle lies now."""
        raw = {**candidate.artifact, "path": str(folder / candidate.artifact["path"])}
        return parse(Artifact, raw, f"candidate {candidate.id}")


def to_text(plan: Plan) -> str:
    """The plan as `plan.json` holds it."""
    return json.dumps(dataclasses.asdict(plan), indent=1, sort_keys=True, allow_nan=False) + "\n"


def sha256_of(text: str) -> str:
    """What a bundle is known by."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def from_text(text: str, source: str) -> Plan:
    """Parse a plan.

    Raises:
        UserError: it is damaged, or of another protocol.
    """
    try:
        raw = json.loads(text)
        if not isinstance(raw, dict):
            raise ValueError("it holds no object")
        if raw.get("protocol") != PROTOCOL:
            what = f"the bundle is of protocol {raw.get('protocol')!r}, and this program speaks {PROTOCOL}"
            raise UserError(what, value=source, remedy=AGAIN)
        plan = parse(Plan, raw, source)
        _check(plan)
        return plan
    except (ValueError, RecursionError, RecordError) as error:
        raise UserError(
            f"the plan of a bundle can't be read ({str(error)[:200]})", value=source, remedy=AGAIN
        ) from None


def _check(plan: Plan) -> None:
    """Raises ValueError where a plan names files outside its bundle, or pictures that its split does not hold."""
    artifacts = [str(c.artifact.get("path")) for c in plan.candidates]
    for name in [*plan.files, *plan.fitted.values(), *plan.ring, *artifacts]:
        parts = PurePosixPath(name).parts
        if not parts or PurePosixPath(name).is_absolute() or ".." in parts or "\\" in name or ":" in name:
            raise ValueError(f"{name[:100]!r} is no file of a bundle")
    ids = [c.id for c in plan.candidates]
    if not ids or len(set(ids)) < len(ids) or not all(re.fullmatch("[0-9]{2,6}", i) for i in ids):
        raise ValueError("its candidates have no numbers of their own")
    indices = {picture.index for picture in plan.pictures}
    if not indices or len(indices) < len(plan.pictures) or min(indices) < 0 or max(indices) >= plan.images_in_split:
        raise ValueError(f"its pictures are none of {plan.images_in_split}")


def check_processor(name: str) -> None:
    """Refuse what no engine can be asked for."""
    if not re.fullmatch(r"cpu|cuda(:[0-9]{1,4})?", name):
        raise UserError("processor is none that engines can be asked for", value=name, remedy="cpu, cuda or cuda:N")


def read_plan(folder: Path) -> tuple[Plan, str]:
    """The plan of the bundle in a folder, and its hash.

    Raises:
        UserError: there is none, or it can't be read.
    """
    path = folder / FILE
    try:
        text = read_regular(path).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the plan of a bundle can't be read ({error})", value=path, remedy=AGAIN) from None
    return from_text(text, str(path)), sha256_of(text)


def altered(plan: Plan, folder: Path) -> list[str]:
    """Files of a bundle that are missing or not as they were packed."""
    return [name for name, digest in plan.files.items() if _hash(folder / name) != digest]


def _hash(path: Path) -> str:
    try:
        return sha256_file(path) if path.is_file() else ""  # a pipe would be waited for
    except OSError:
        return ""
