"""A registered model for tests of the service."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

from src.common.root import ROOT
from src.monitor.profile import Profile
from src.promote.recorded_model import RecordedModel
from src.promote.registry import Registry
from src.records.schema import Artifact


def register(uri: str, artifact: Artifact, folder: Path, profile: Profile | None = None, **planned: Any) -> str:
    """Register an artifact as `detsweep`; returns its version.

    Args:
        uri: of the registry.
        artifact: the file.
        folder: for files.
        profile: the look of val, where there is one.
        planned: what the plan says otherwise.
    """
    registry = Registry(uri, "detsweep")
    experiment = registry.client.create_experiment(
        f"served-{uuid4().hex}", artifact_location=(folder / "files").as_uri()
    )
    run = registry.client.create_run(experiment)
    plan: dict[str, Any] = {
        "runtime": "onnxruntime",
        "threads": 1,
        "imgsz": 64,
        "confidence": 1e-6,
        "class_names": artifact.names or [str(i) for i in range(10)],
    } | planned
    recorded = RecordedModel("a" * 64, "host", 10.0, "p95", "same", None)
    return registry.register(run.info.run_id, artifact, plan, recorded, ROOT / "src", profile)
