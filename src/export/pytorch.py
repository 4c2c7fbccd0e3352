"""The checkpoint itself as an artifact: the reference that every other format is measured against."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from src.common.backends import Format
from src.export.request import Built, Job, versions

FORMAT = Format(precisions=("fp32",), suffix=".pt")


def tool_versions() -> dict[str, str]:
    """What reads the file."""
    return versions("torch")


def build(job: Job, folder: Path) -> Built:
    """Nothing is written; what the network takes and answers with, its family says."""
    source = job.source()
    return Built(Path(job.checkpoint.path), replace(source.input, batch=0), source.output, names=source.names)
