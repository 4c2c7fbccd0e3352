"""TorchScript: the traced network, for programs that have torch but not this code."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from src.common.backends import Format
from src.export import readback
from src.export.request import Built, Job, versions

FORMAT = Format(precisions=("fp32",), suffix=".torchscript")
FILE = "model.torchscript"


def tool_versions() -> dict[str, str]:
    """What decides the content of the file."""
    return versions("torch")


def build(job: Job, folder: Path) -> Built:
    """Trace with one example; the batch axis stays free, since the network reads it from its input."""
    import torch

    source = job.source()
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        traced: Any = torch.jit.trace(source.module, source.example(), strict=False, check_trace=False)
    path = folder / FILE
    traced.save(str(path), _extra_files={"config.txt": json.dumps(dict(source.metadata))})
    facts = readback.torchscript_facts(traced)
    shape = replace(source.input, batch=0 if source.dynamic_batch else 1)
    return Built(path, shape, source.output, facts, source.names)
