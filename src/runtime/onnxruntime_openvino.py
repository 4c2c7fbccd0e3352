"""ONNX Runtime with OpenVINO as its execution provider."""

from __future__ import annotations

from src.common.backends import Engine
from src.records.schema import Artifact
from src.runtime import onnxruntime
from src.runtime.onnxruntime import OrtSession

ENGINE = Engine(
    runs={"onnx": ("fp32", "fp16", "int8")},
    needs={"onnxruntime": "onnxruntime-openvino"},
    install="install it in place of onnxruntime",
    packages=(("onnxruntime-openvino", "onnxruntime"),),
)

PROVIDER = "OpenVINOExecutionProvider"


def check_available() -> None:
    """Raises `Unavailable` where this build of ONNX Runtime lacks the provider."""
    onnxruntime.check_provider(PROVIDER, "install onnxruntime-openvino in place of onnxruntime")


def load(artifact: Artifact, threads: int, device: str, trust: bool) -> OrtSession:
    """Open a session on this provider alone; operators that it lacks fall back to the processor's."""
    options = {"device_type": "CPU", "num_of_threads": str(threads)}
    return onnxruntime.open_session(artifact, threads, device, [(PROVIDER, options)], "onnxruntime_openvino")
