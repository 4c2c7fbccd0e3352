"""Artifacts from plain data that this very version wrote: a job for a worker, the plan of a bundle.

Records from files are read with care (`src.records.parsing`, `src.records.earlier`). Here nothing is earlier or
unknown, and it runs on the oldest Python that a bundle may meet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from src.records.model_io import Input, Output
from src.records.schema import Artifact


def artifact_of(raw: Mapping[str, Any]) -> Artifact:
    """The artifact whose `dataclasses.asdict` this is.

    Raises:
        TypeError, ValueError: it is none.
    """
    shape, output = raw.get("input"), raw.get("output")
    made = {"input": shape and Input(**shape), "output": output and Output(**output)}
    return Artifact(**{**raw, **made})
