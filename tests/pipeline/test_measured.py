"""The finalist stage: what was timed must be what was judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from src.pipeline.measured import Findings, Key, keep_measurements
from src.records.schema import Latency, Measurement, Verification


def measurement(folder: Path, sha: str, digests: list[list[float]], scope: Any = "model_only") -> Measurement:
    samples = folder / f"{sha}.json"
    samples.write_text(json.dumps({"rounds": [{"model_only/1": {"digest": digests}}]}))
    return Measurement(
        format="onnx",
        precision="fp32",
        artifact_sha256=sha,
        runtime="onnxruntime",
        runtime_version="1",
        device="cpu",
        scope=scope,
        batch=1,
        threads=1,
        imgsz=64,
        latency=Latency(1, 1.0, 1.0, None, None, None),
        throughput_ips=1.0,
        load_ms=1.0,
        cold_ms=1.0,
        memory_mb=1.0,
        size_bytes=1,
        samples_file=samples.name,
    )


def judged(folder: Path, sha: str, digests: list[list[float]]) -> Findings:
    np.savez(folder / f"{sha}.npz", digests=np.array(digests))
    check = Verification("onnx", "fp32", sha, "onnxruntime", "val", {}, 0.5, "pass", f"{sha}.npz")
    return Findings(None, None, folder, verifications=[check])  # type: ignore[arg-type]


def test_a_latency_of_other_outputs_is_not_taken(tmp_path: Path) -> None:
    seen = [[1.0, 2.0], [3.0, 4.0]]
    good, bad = judged(tmp_path, "good", seen), judged(tmp_path, "bad", seen)
    owners: dict[Key, Findings] = {("good", "onnxruntime", ()): good, ("bad", "onnxruntime", ()): bad}
    measured = [
        measurement(tmp_path, "good", seen),
        measurement(tmp_path, "bad", [[1.0, 2.0], [3.0, 4.1]]),
        measurement(tmp_path, "bad", [[1.0, 2.0], [3.0, 4.1]], scope="end_to_end"),
        measurement(tmp_path, "good", seen, scope="end_to_end"),
    ]
    keep_measurements(measured, owners, tmp_path)
    assert [m.scope for m in good.measurements] == ["model_only", "end_to_end"]
    assert (bad.measurements, len(bad.failures)) == ([], 1)
    assert "differ from those of the accuracy pass" in bad.failures[0].message
