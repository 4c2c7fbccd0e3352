"""Nothing that is run reports its use to anybody."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from src.records.schema import Artifact
from tests.conftest import ROOT

# Where its files can't be written, telemetry that is on says so in a warning.
RUN = """
import sys
import src.runtime
import onnxruntime
onnxruntime.InferenceSession(sys.argv[1])
"""


def test_onnx_runtime_has_no_telemetry(onnx: Artifact) -> None:
    words = [sys.executable, "-c", RUN, onnx.path]
    nowhere = {"HOME": "/proc/none", "XDG_CACHE_HOME": "/proc/none", "XDG_DATA_HOME": "/proc/none"}
    done = subprocess.run(words, cwd=ROOT, env=nowhere, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "telemetry" not in done.stderr.lower()


def test_the_script_beside_a_file_turns_it_off_before_the_import(onnx: Artifact) -> None:
    text = (Path(onnx.path).parent / "detect.py").read_text()
    assert text.index("ORT_DISABLE_TELEMETRY") < text.index("import onnxruntime")
