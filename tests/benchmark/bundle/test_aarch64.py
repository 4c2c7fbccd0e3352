"""Another kind of processor measures a bundle: an aarch64 user-space under qemu."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from src.benchmark.bundle.candidates import Asked
from src.benchmark.bundle.incoming import import_results
from src.benchmark.bundle.pack import pack
from src.config.schema import BenchmarkConfig
from src.decide.load import Saved, load_sweep
from tests import aarch64

SLOW = BenchmarkConfig(name="test", warmup=2, min_seconds=0.0, min_samples=40, max_seconds=20, rounds=2)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(bool(aarch64.missing()), reason=aarch64.missing())
def test_it_passes_the_whole_run(home: Path, saved: Saved) -> None:
    python = aarch64.make(Path(os.environ[aarch64.VARIABLE]))
    pack(saved, home / "arm", Asked(SLOW, engines=["onnxruntime", "openvino"]))
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(python), "run.py"], cwd=home / "arm", env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    import_results(saved, home / "arm" / "results.json", "board")
    record = load_sweep(saved.folder).devices["board"]
    assert record.environment.platform == "Linux aarch64"
    assert record.environment.cpu == f"{aarch64.BOARD} (Cortex-A76)"
    assert [(m.runtime, m.scope, m.latency.p50 > 0) for m in record.measurements] == [
        ("onnxruntime", "model_only", True)
    ]
    assert record.verifications[0].gate == "pass"
    assert record.verifications[0].extra["digests_equal"] == 1.0
    skipped = {f.target: f.message for f in record.failures}
    assert "pip install openvino" in skipped["openvino/onnx/fp32"]
