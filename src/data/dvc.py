"""Put a dataset under DVC, an extra: `dvc add`, a remote where one is named, and a record that ties DVC's hash to ours.

DVC's own hash covers file names and bytes as they lie; the fingerprint covers their meaning. The record beside the
`.dvc` file holds both, so that a pull on another clone can be checked.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from src.common.errors import UserError
from src.common.whole_files import write_text

TIMEOUT_S = 3600
NAME = "detsweep"  # of the remote
REGION = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True)
class Remote:
    """Where a dataset is pushed to. It is written into `.dvc/config`, which goes into git: no credential is in it.

    Attributes:
        url: URL or path.
        endpoint: address of an S3-compatible server; None = Amazon's.
        region: of the bucket; None = as the environment says.
        ssl: false where the server speaks plain HTTP; None = as the address says.
    """

    url: str
    endpoint: str | None = None
    region: str | None = None
    ssl: bool | None = None

    def check(self) -> None:
        """Refuse what makes no sense, before anything is written.

        Raises:
            UserError: naming the key, its value and the remedy.
        """
        words = {"endpoint": self.endpoint, "region": self.region, "ssl": self.ssl}
        given = [key for key, value in words.items() if value is not None]
        if given and not self.url.startswith("s3://"):
            raise UserError(f"{given[0]} is a word of S3 remotes", value=f"remote={self.url}", remedy="remote=s3://…")
        if self.endpoint is not None:
            self._check_endpoint(self.endpoint)
        if self.region is not None and not REGION.fullmatch(self.region):
            raise UserError("region is none", value=self.region, remedy="region=eu-central-1")

    def _check_endpoint(self, endpoint: str) -> None:
        try:
            parts = urlsplit(endpoint)
            known = (
                parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
            )
        except ValueError:
            known = False
        if not known:
            raise UserError("endpoint is no address", value=endpoint, remedy="endpoint=https://s3.example.org")
        if parts.username is not None:
            remedy = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"
            raise UserError("endpoint holds credentials, and would go into git with them", remedy=remedy)
        if self.ssl and parts.scheme == "http":
            raise UserError("ssl contradicts the endpoint", value=f"ssl=true endpoint={endpoint}", remedy="https://…")

    @property
    def words(self) -> dict[str, str]:
        """What DVC calls them."""
        ssl = None if self.ssl is None else str(self.ssl).lower()
        named = {"endpointurl": self.endpoint, "region": self.region, "use_ssl": ssl}
        return {key: value for key, value in named.items() if value is not None}


def track(folder: Path, fingerprint: str, remote: Remote | None) -> dict[str, Any]:
    """Run `dvc add` on a dataset folder (inside a git repository with `dvc init`), push it, and write the record.

    Args:
        folder: of the dataset.
        fingerprint: ours.
        remote: becomes the default remote and is pushed to; None pushes nothing.

    Raises:
        UserError: DVC isn't installed or refuses, or the remote makes no sense.
    """
    if remote is not None:
        remote.check()
    if shutil.which("dvc") is None:
        raise UserError("DVC is not installed", remedy="pip install dvc (dvc[s3] for S3), then `dvc init`")
    _dvc(["add", str(folder)], folder.parent)
    file = folder.with_name(folder.name + ".dvc")
    if remote is not None:
        _dvc(["remote", "add", "--force", "--default", NAME, remote.url], folder.parent)
        for key, value in remote.words.items():
            _dvc(["remote", "modify", NAME, key, value], folder.parent)
        _dvc(["push", str(file)], folder.parent)
    record = {**dvc_hash(file), "fingerprint": fingerprint, "remote": remote.url if remote else ""}
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
