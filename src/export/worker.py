"""The process that files are exported in: `python -m src.export.worker job.json result.json`.

It notes each target before it begins and after it has ended, so that whoever started it knows what was made if it dies.
"""

from __future__ import annotations

import dataclasses
import json
from functools import partial
from pathlib import Path
from typing import Any

from src.config.schema import ExportConfig
from src.export import export
from src.export.calibration import remember
from src.machine.answers import answer_of, work
from src.records.parsing import parse
from src.records.schema import Checkpoint


def make(job: dict[str, Any]) -> dict[str, Any]:
    """Make every target of a job, and say so."""
    checkpoint, cfg = parse(Checkpoint, job["checkpoint"], "checkpoint"), parse(ExportConfig, job["cfg"], "export")
    remember(job.get("hashes", []))
    out_dir, notes = Path(job["out_dir"]), Path(job["notes"])
    for target in job["targets"]:
        _note(notes, {"target": target})
        _note(notes, {"target": target, **answer_of(partial(_make_one, checkpoint, target, out_dir, cfg, job))})
    return {"ok": True, "value": {}}


def _make_one(
    checkpoint: Checkpoint, target: str, out_dir: Path, cfg: ExportConfig, job: dict[str, Any]
) -> dict[str, Any]:
    return dataclasses.asdict(
        export(checkpoint, target, out_dir, cfg, calibration=job["calibration"], trust=job["trust"])
    )


def _note(notes: Path, line: dict[str, Any]) -> None:
    with open(notes, "a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    work(make)
