"""Exports in a process of their own: a converter that crashes, hangs or eats the memory costs its file, and no sweep.

One process makes all files of a checkpoint in turn, since the start of one costs seconds. It notes what it begins and
what it has made; when it dies, the file that it was at is the one that failed, and another process goes on with the
rest. What was made before is found without starting any.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from src.common.errors import StageError, Unavailable, UserError
from src.config.schema import ExportConfig
from src.export import calibration as calibrated
from src.export import export, find
from src.machine.answers import error_of
from src.machine.environment import cores
from src.machine.isolation import run_job
from src.records.earlier import artifact_from
from src.records.schema import Artifact, Checkpoint

MODULE = "src.export.worker"
TIMEOUT_S = 3600.0  # of all files of a checkpoint together
SOURCE = "pytorch/fp32"  # the checkpoint itself: nothing is converted

Fail = Callable[[str, Exception], None]


def export_all(
    checkpoint: Checkpoint,
    targets: Sequence[str],
    out_dir: Path,
    cfg: ExportConfig,
    fail: Fail,
    *,
    calibration: Sequence[str] = (),
    trust: bool = False,
    timeout_s: float = TIMEOUT_S,
) -> list[Artifact]:
    """Make the artifacts of a checkpoint, or find those made before.

    Args:
        checkpoint: the source.
        targets: `format/precision` each.
        out_dir: folder of this checkpoint's artifacts.
        cfg: the export group.
        fail: told of every target that could not be made, with a `StageError`, `Unavailable` or `UserError`.
        calibration: images that static quantisation is calibrated on.
        trust: allow a checkpoint that needs unsafe unpickling.
        timeout_s: for one process.

    Returns:
        Those that were made, in the order of `targets`.
    """
    made: dict[str, Artifact] = {}
    left: list[str] = []
    for target in dict.fromkeys(targets):
        try:
            if target == SOURCE:
                made[target] = export(checkpoint, target, out_dir, cfg, trust=trust)
            elif (known := find(checkpoint, target, out_dir, cfg, calibration=calibration, trust=trust)) is not None:
                made[target] = known
            else:
                left.append(target)
        except (StageError, Unavailable, UserError) as error:
            fail(target, error)
    job = {
        "checkpoint": dataclasses.asdict(checkpoint),
        "out_dir": str(out_dir.absolute()),
        "cfg": dataclasses.asdict(cfg),
        "calibration": [str(Path(image).absolute()) for image in calibration],
        "hashes": calibrated.remembered(calibration),
        "trust": trust,
    }
    while left:
        left = _one_process(job, left, made, fail, timeout_s)
    return [made[target] for target in dict.fromkeys(targets) if target in made]


def _one_process(
    job: Mapping[str, Any], targets: list[str], made: dict[str, Artifact], fail: Fail, timeout_s: float
) -> list[str]:
    """Let one process make what it can; returns what is left for another one because it died."""
    with tempfile.TemporaryDirectory(prefix="detsweep-export-") as folder:
        notes = Path(folder) / "notes.jsonl"
        death: StageError | None = None
        try:
            asked = {**job, "targets": targets, "notes": str(notes)}
            run_job(asked, target="", threads=cores(), timeout_s=timeout_s, stage="export", module=MODULE)
        except StageError as error:
            death = error
        begun, answers = _read(notes)
    for target, answer in answers.items():
        if answer["ok"]:
            made[target] = artifact_from(answer["value"])
        else:
            fail(target, error_of(answer, "export", target))
    left = [target for target in targets if target not in answers]
    if death is None or not left:
        return []
    lost = begun if begun in left else left[0]
    fail(lost, StageError("export", lost, death.message))
    return [target for target in left if target != lost]


def _read(notes: Path) -> tuple[str, dict[str, dict[str, Any]]]:
    """What was begun last, and the answer for every target that came to an end; a torn last line is left out."""
    begun, answers = "", {}
    lines = notes.read_text(encoding="utf-8").splitlines() if notes.is_file() else []
    for line in lines:
        try:
            note = json.loads(line)
        except ValueError:
            continue
        if "ok" in note:
            answers[note["target"]] = note
        else:
            begun = note["target"]
    return begun, answers


def export_one(
    checkpoint: Checkpoint,
    target: str,
    out_dir: Path,
    cfg: ExportConfig,
    *,
    calibration: Sequence[str] = (),
    trust: bool = False,
) -> Artifact:
    """One artifact, made in a process of its own.

    Raises:
        UserError: the target is unknown or the checkpoint can't be loaded.
        Unavailable: a library that the format needs is missing.
        StageError: the conversion failed, or its process died.
    """
    errors: list[Exception] = []
    made = export_all(
        checkpoint, [target], out_dir, cfg, lambda _, error: errors.append(error), calibration=calibration, trust=trust
    )
    if errors:
        raise errors[0]
    return made[0]
