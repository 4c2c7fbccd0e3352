"""The capacity of finalists: measured on the real service, recorded, and held against the decision's limit."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from src.common.errors import StageError
from src.loadtest.capacity import Capacity
from src.loadtest.search import Search, capacity_at
from src.pipeline.capacity import figures, service
from src.records.schema import Artifact, Latency, Measurement


def measurement(artifact: Artifact, runtime: str = "onnxruntime") -> Measurement:
    """As the benchmark leaves it."""
    latency = Latency(1, 1.0, 1.0, None, None, None)
    return Measurement(
        artifact.format, artifact.precision, artifact.sha256, runtime, "1", "cpu", "model_only", 1, 1, 64, latency,
        1.0, 1.0, 1.0, 1.0, 1, "",
    )  # fmt: skip


def test_what_was_not_found_is_left_out() -> None:
    told = figures(Capacity(20, 15, math.inf), 80)
    assert told == {"capacity_p99_ms": 80, "capacity_rps": 20, "capacity_low_rps": 15}
    assert figures(Capacity(20, 15, 30), 80)["capacity_high_rps"] == 30


@pytest.mark.slow
def test_a_service_of_an_artifact_is_measured_and_gone(onnx: Artifact, images: list[str], tmp_path: Path) -> None:
    contents = [Path(images[0]).read_bytes()]
    with service(onnx, measurement(onnx), tmp_path / "log") as url:
        found = capacity_at(url, contents, Search(2000, seconds=3, steps=2, precision=1.5))
    assert found.rate > 0
    with pytest.raises(StageError):
        capacity_at(url, contents, Search(2000, seconds=1))


@pytest.mark.slow
def test_a_service_that_does_not_start_is_told(onnx: Artifact, tmp_path: Path) -> None:
    with pytest.raises(StageError, match="did not start"), service(onnx, measurement(onnx, "abacus"), tmp_path / "log"):
        pass
