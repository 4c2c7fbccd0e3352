"""Which of a sweep's finalists a bundle can hold, and why not the others."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from src import runtime as engines
from src.benchmark.bundle.contents import RUNTIMES
from src.benchmark.bundle.plan import Candidate, LeftOut
from src.common import backends
from src.common.errors import UserError
from src.config.ranges import ABOVE_0, MOST_THREADS, refuse_outside
from src.config.schema import BenchmarkConfig
from src.decide.load import Saved
from src.records.schema import Artifact, FinalistRecord, Measurement, TrialRecord, Verification
from src.records.tiling import recorded

SPLIT = "val"
RELEASE = re.compile(r"[0-9]+(\.[0-9]+)*((a|b|rc)[0-9]+)?(\.(post|dev)[0-9]+)?")  # of a version, as pip knows it
BYTES, REFERENCES = "bytes", "references"


@dataclass(frozen=True)
class Asked:
    """What the bundle should hold."""

    benchmark: BenchmarkConfig
    engines: Sequence[str] = ()  # [] = those that the sweep verified with
    targets: Sequence[str] = ()  # format/precision; [] = all
    trials: Sequence[int] = ()  # [] = all finalists
    images: int | None = None  # of the accuracy check; None = as many as fit into `megabytes`
    megabytes: float = 50.0  # for all pictures
    pictures: str = BYTES
    processor: str = "cpu"  # that engines are asked for
    threads: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Choice:
    """A candidate to be, with what the sweep knows of it."""

    trial: TrialRecord
    artifact: Artifact
    runtime: str
    verification: Verification | None  # on this runtime, where the sweep ran it there
    measurement: Measurement | None

    @property
    def target(self) -> str:
        """`runtime/format/precision`."""
        return f"{self.runtime}/{self.artifact.label}"


def candidates_of(saved: Saved, asked: Asked) -> tuple[list[Choice], list[LeftOut]]:
    """What a bundle can hold of the finalists, and what it can't and why.

    Raises:
        UserError: a trial, target or engine is asked for that is not there.
    """
    _check(saved, asked)
    chosen: list[Choice] = []
    left_out: list[LeftOut] = []
    seen: set[tuple[str, str]] = set()
    trials = {trial.trial: trial for trial in saved.trials}
    for number, record in sorted(saved.finalists.items()):
        if asked.trials and number not in asked.trials:
            continue
        for artifact in record.artifacts:
            if asked.targets and artifact.label not in asked.targets:
                continue
            for runtime in _runtimes(record, artifact, asked):
                if (artifact.sha256, runtime) in seen:
                    continue
                seen.add((artifact.sha256, runtime))
                choice = _choice(trials[number], record, artifact, runtime)
                reason = _unfit(choice, record)
                if reason:
                    left_out.append(LeftOut(f"T{number} {choice.target}", reason))
                else:
                    chosen.append(choice)
    return chosen, left_out


def _check(saved: Saved, asked: Asked) -> None:
    if asked.pictures not in (BYTES, REFERENCES):
        raise UserError(
            "pictures is not known", value=asked.pictures, remedy=f"pictures={BYTES} or pictures={REFERENCES}"
        )
    if not saved.finalists:
        raise UserError("the sweep has no finalists yet", value=saved.sweep.sweep, remedy="let the sweep finish")
    if wrong := [n for n in asked.trials if n not in saved.finalists]:
        raise UserError("trials names one that is no finalist", value=wrong[0], remedy=f"of {sorted(saved.finalists)}")
    labels = sorted({a.label for record in saved.finalists.values() for a in record.artifacts})
    if unknown := [t for t in asked.targets if t not in labels]:
        raise UserError("targets names one that no finalist has", value=unknown[0], remedy=f"of {', '.join(labels)}")
    if odd := [e for e in asked.engines if e not in RUNTIMES]:
        raise UserError("engines names one that a bundle can't carry", value=odd[0], remedy=f"of {', '.join(RUNTIMES)}")
    refuse_outside(
        {
            "images": (asked.images, 1, math.inf),
            "threads": (asked.threads, 0, MOST_THREADS),
            "megabytes": (asked.megabytes, ABOVE_0, math.inf),
        }
    )


def _runtimes(record: FinalistRecord, artifact: Artifact, asked: Asked) -> list[str]:
    """Engines for an artifact: those asked for that run its format, else those that the sweep ran it on."""
    if asked.engines:
        return [e for e in asked.engines if engines.supports(e, artifact.format, artifact.precision)]
    return [v.runtime for v in record.verifications if v.artifact_sha256 == artifact.sha256 and v.split == SPLIT]


def _choice(trial: TrialRecord, record: FinalistRecord, artifact: Artifact, runtime: str) -> Choice:
    judged = [
        v for v in record.verifications
        if (v.artifact_sha256, v.runtime, v.split) == (artifact.sha256, runtime, SPLIT)
    ]  # fmt: skip
    timed = [
        m for m in record.measurements
        if (m.artifact_sha256, m.runtime, m.scope) == (artifact.sha256, runtime, "model_only")
    ]  # fmt: skip
    return Choice(trial, artifact, runtime, next(iter(judged), None), min(timed, key=lambda m: m.batch, default=None))


def _unfit(choice: Choice, record: FinalistRecord) -> str:
    """Why a candidate stays out of the bundle; "" where it doesn't."""
    if choice.runtime not in RUNTIMES or choice.artifact.format in ("pytorch", "torchscript"):
        return "it runs in PyTorch, which a bundle does not carry"
    if recorded(choice.trial.config):
        return "it looks at large pictures by tiles, and a bundle carries pictures at the size of the input"
    if choice.artifact.format == "tensorrt":
        return "a TensorRT engine runs on the GPU and version that it was built with; pack the ONNX file"
    judged = [v for v in record.verifications if v.artifact_sha256 == choice.artifact.sha256 and v.split == SPLIT]
    own = [choice.verification] if choice.verification else judged
    if not own:
        return "its accuracy was not verified here"
    if all(v.gate == "fail" for v in own):
        return "it lost too much accuracy here"
    return ""


def packages_of(candidates: Sequence[Candidate]) -> dict[str, str]:
    """What pip installs for each runtime: the version that was used here, where it was."""
    out = {}
    for candidate in candidates:
        facts = backends.engine_facts(candidate.runtime)
        name = next(iter(facts.needs.values()), "")
        if name and (candidate.runtime not in out or candidate.runtime_version):
            # Engines say more than pip knows a release by: 2026.4.1-22982-e213a147257-releases/2026/4.
            release = RELEASE.match(candidate.runtime_version)
            out[candidate.runtime] = f"{name}=={release[0]}" if release else name
    return out
