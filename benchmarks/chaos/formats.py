"""Stands for the exporters: a pytorch artifact is the checkpoint itself, an ONNX one a copy of it in two writes."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.chaos.kill_points import VARIABLE, KillPoints
from src.common.backends import Format
from src.export.request import Built, Job

FORMAT = Format(precisions=("fp32",))


def tool_versions() -> dict[str, str]:
    """None were used."""
    return {"toy": "1"}


def build(job: Job, folder: Path) -> Built:
    """Write the artifact."""
    source = Path(job.checkpoint.path)
    shape = [1, 3, job.checkpoint.imgsz, job.checkpoint.imgsz]
    if job.format == "pytorch":
        return Built(source, shape, "dense", tool_versions())
    content = source.read_bytes()
    with open(folder / "model.onnx", "wb") as stream:
        stream.write(content[: len(content) // 2])
        stream.flush()
        KillPoints(Path(os.environ[VARIABLE])).reached("export · middle")
        stream.write(content[len(content) // 2 :] + b"as ONNX")
    return Built(folder / "model.onnx", shape, "dense", tool_versions())
