"""Put a dataset under DVC, an extra: `dvc add`, a remote where one is named, and a record that ties DVC's hash to ours.

DVC's own hash covers file names and bytes as they lie; the fingerprint covers their meaning. The record beside the
`.dvc` file holds both, so that a pull on another clone can be checked.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from src.common.errors import UserError
from src.common.whole_files import write_text

TIMEOUT_S = 3600


def track(folder: Path, fingerprint: str, remote: str | None) -> dict[str, Any]:
    """Run `dvc add` on a dataset folder (inside a git repository with `dvc init`), push it, and write the record.

    Args:
        remote: URL or path that becomes the default remote and is pushed to; None pushes nothing.

    Raises:
        UserError: DVC isn't installed or refuses.
    """
    if shutil.which("dvc") is None:
        raise UserError("DVC is not installed", remedy="pip install dvc (dvc[s3] for S3), then `dvc init`")
    _dvc(["add", str(folder)], folder.parent)
    file = folder.with_name(folder.name + ".dvc")
    if remote:
        _dvc(["remote", "add", "--force", "--default", "detsweep", remote], folder.parent)
        _dvc(["push", str(file)], folder.parent)
    record = {**dvc_hash(file), "fingerprint": fingerprint, "remote": remote or ""}
    write_text(folder.with_name(folder.name + ".fingerprint.json"), json.dumps(record, indent=1) + "\n")
    return record


def dvc_hash(file: Path) -> dict[str, Any]:
    """The hash that a `.dvc` file pins: algorithm, value, number of files and bytes.

    Raises:
        UserError: the file is missing or malformed.
    """
    try:
        out = yaml.safe_load(file.read_text(encoding="utf-8"))["outs"][0]
        kind = str(out.get("hash", "md5"))
        return {"path": out["path"], kind: out[kind], "files": out.get("nfiles", 1), "bytes": out.get("size", 0)}
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise UserError(f"{file}: not a .dvc file ({error})", remedy="run `dvc add` again") from None


def _dvc(arguments: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(["dvc", *arguments], cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"`dvc {arguments[0]}` did not run ({error})") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        reason = lines[-1][:200] if lines else f"exit code {done.returncode}"
        raise UserError(f"`dvc {arguments[0]}` failed: {reason}", remedy="inside a git repository: dvc init")
