"""Fetch a version of a Roboflow project through the `roboflow` package, an extra that is installed on purpose only.

The key comes from the environment variable `ROBOFLOW_API_KEY` and is never stored or shown.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path

from src.common.errors import UserError
from src.common.hashes import hash_of
from src.common.redaction import redact_text
from src.common.whole_files import whole_folder
from src.data.types import RawDataset
from src.data.yolo import read_yolo


def read_roboflow(workspace: str | None, project: str | None, version: int | None, base: Path) -> RawDataset:
    """Download (once) and read a version in the YOLO layout.

    Args:
        base: folder under which downloads are kept.

    Raises:
        UserError: a key, the package or the API key is missing, or the download failed.
    """
    for key, value in (("workspace", workspace), ("project", project), ("version", version)):
        if not value:
            raise UserError(
                f"data.{key} is not set", remedy="data=roboflow data.workspace=NAME data.project=NAME data.version=1"
            )
    folder = base / ".downloads" / f"roboflow-{hash_of([workspace, project, version])}"
    if not folder.is_dir():
        _download(str(workspace), str(project), int(version or 0), folder)
    return read_yolo(folder)


def _download(workspace: str, project: str, version: int, folder: Path) -> None:
    key = os.environ.get("ROBOFLOW_API_KEY")
    if not key:
        raise UserError("the environment variable ROBOFLOW_API_KEY is not set", remedy="export ROBOFLOW_API_KEY=…")
    try:
        package = importlib.import_module("roboflow")
    except ImportError:
        raise UserError("the package `roboflow` is not installed", remedy="pip install roboflow") from None
    try:
        chosen = package.Roboflow(api_key=key).workspace(workspace).project(project).version(version)
        with whole_folder(folder) as aside:
            chosen.download("yolov8", location=str(aside))
    except Exception as error:  # the package raises bare exceptions; its messages may quote the key
        reason = redact_text(str(error).replace(key, "***")).split("\n")[0][:200]
        raise UserError(
            f"Roboflow did not deliver {workspace}/{project} version {version} ({reason})",
            remedy="check the names, the key and the network",
        ) from None
