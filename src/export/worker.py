"""The process that files are exported in: `python -m src.export.worker job.json result.json`.

It notes each target before it begins and after it has ended, so that whoever started it knows what was made if it dies.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

from src.common.errors import StageError, Unavailable, UserError
from src.common.whole_files import write_text
from src.config.schema import ExportConfig
from src.export import export
from src.machine.parent_process import leave_with_parent
from src.records.parsing import parse
from src.records.schema import Checkpoint


def make(job: dict[str, Any]) -> None:
    """Make every target of a job."""
    checkpoint, cfg = parse(Checkpoint, job["checkpoint"], "checkpoint"), ExportConfig(**job["cfg"])
    out_dir, notes = Path(job["out_dir"]), Path(job["notes"])
    for target in job["targets"]:
        _note(notes, {"target": target})
        answer = _made(checkpoint, target, out_dir, cfg, job)
        _note(notes, {"target": target, **answer})


def _made(checkpoint: Checkpoint, target: str, out_dir: Path, cfg: ExportConfig, job: dict[str, Any]) -> dict[str, Any]:
    try:
        found = export(checkpoint, target, out_dir, cfg, calibration=job["calibration"], trust=job["trust"])
        return {"ok": True, "artifact": dataclasses.asdict(found)}
    except Unavailable as error:
        return {"ok": False, "kind": "unavailable", "message": str(error)}
    except UserError as error:
        value = None if error.value is None else str(error.value)
        return {"ok": False, "kind": "user", "message": error.what, "value": value, "remedy": error.remedy}
    except StageError as error:
        return {"ok": False, "kind": "error", "message": error.message}
    except OSError as error:  # a full disk among others: whoever asked looks at the disk itself
        return {"ok": False, "kind": "error", "message": f"{type(error).__name__}: {error}"[:2000]}


def _note(notes: Path, line: dict[str, Any]) -> None:
    with open(notes, "a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")


def main(arguments: list[str]) -> int:
    """Read the job, do it, say so."""
    source, result = map(Path, arguments)
    make(json.loads(source.read_text(encoding="utf-8")))
    write_text(result, json.dumps({"ok": True, "value": {}}))
    return 0


if __name__ == "__main__":
    leave_with_parent(gently=False)
    code = main(sys.argv[1:])
    sys.stdout.flush()
    # Some converters crash while the interpreter takes them down; the files are on disk, so leave at once.
    os._exit(code)
