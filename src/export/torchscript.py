"""TorchScript: the traced network, for programs that have torch but not this code."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from src.common.backends import Format
from src.export import readback
from src.export.request import Built, Job, versions
from src.models.ultralytics.export_source import load_source

FORMAT = Format(precisions=("fp32",), suffix=".torchscript")
FILE = "model.torchscript"


def tool_versions() -> dict[str, str]:
    """What decides the content of the file."""
    return versions("torch", "ultralytics")


def build(job: Job, folder: Path) -> Built:
    """Trace with one example; the batch axis stays free, since the network reads it from its input."""
    import torch

    source = load_source(job.checkpoint, trust=job.trust, fmt="torchscript")
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        traced: Any = torch.jit.trace(source.model, source.example(), strict=False, check_trace=False)
    path = folder / FILE
    traced.save(str(path), _extra_files={"config.txt": json.dumps(source.metadata())})
    facts = readback.torchscript_facts(traced)
    return Built(path, [-1, 3, source.imgsz, source.imgsz], source.head, tool_versions(), facts)
