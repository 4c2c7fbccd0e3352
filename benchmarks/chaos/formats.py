"""Stands for the exporters: a pytorch artifact is the checkpoint itself, an ONNX one a copy of it in two writes."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.chaos.kill_points import VARIABLE, KillPoints
from src.common.backends import Format
from src.export.request import Built, Job
from src.records.model_io import Input, Output

FORMAT = Format(precisions=("fp32",))


def tool_versions() -> dict[str, str]:
    """None were used."""
    return {"toy": "1"}


def build(job: Job, folder: Path) -> Built:
    """Write the artifact."""
    source = Path(job.checkpoint.path)
    shape = Input(job.checkpoint.imgsz, job.checkpoint.imgsz, batch=1)
    if job.format == "pytorch":
        return Built(source, shape, Output())
    content = source.read_bytes()
    with open(folder / "model.onnx", "wb") as stream:
        stream.write(content[: len(content) // 2])
        stream.flush()
        KillPoints(Path(os.environ[VARIABLE])).reached("export · middle")
        stream.write(content[len(content) // 2 :] + b"as ONNX")
    return Built(folder / "model.onnx", shape, Output())
