"""The checkpoint itself as an artifact: the reference that every other format is measured against."""

from __future__ import annotations

from pathlib import Path

from src.common.backends import Format
from src.export.request import Built, Job, versions
from src.models.ultralytics.export_source import load_source

FORMAT = Format(precisions=("fp32",), suffix=".pt")


def tool_versions() -> dict[str, str]:
    """What reads the file."""
    return versions("torch", "ultralytics")


def build(job: Job, folder: Path) -> Built:
    """Nothing is written; the head's layout is read from the checkpoint."""
    source = load_source(job.checkpoint, trust=job.trust)
    shape = [-1, 3, job.checkpoint.imgsz, job.checkpoint.imgsz]
    return Built(Path(job.checkpoint.path), shape, source.head, tool_versions())
