"""ONNX Runtime with TensorRT as its execution provider."""

from __future__ import annotations

from src.common.backends import Engine
from src.common.errors import Unavailable
from src.records.schema import Artifact
from src.runtime import onnxruntime
from src.runtime.onnxruntime import OrtSession

ENGINE = Engine(
    runs={"onnx": ("fp32", "fp16")},
    needs={"onnxruntime": "onnxruntime-gpu"},
    install="install it, and TensorRT, on a machine with an NVIDIA GPU",
    packages=(("onnxruntime-gpu", "onnxruntime"), ("tensorrt",)),
)

PROVIDER = "TensorrtExecutionProvider"


def check_available() -> None:
    """Raises `Unavailable` where this build of ONNX Runtime lacks the provider."""
    onnxruntime.check_provider(PROVIDER, "install onnxruntime-gpu and TensorRT on a machine with an NVIDIA GPU")


def load(artifact: Artifact, threads: int, device: str, trust: bool) -> OrtSession:
    """Open a session on this provider; operators that it lacks fall back to CUDA."""
    if not device.startswith("cuda"):
        raise Unavailable("onnxruntime_tensorrt runs on a GPU; use device=cuda")
    index = int(device.partition(":")[2] or 0)
    options = {"device_id": index, "trt_fp16_enable": artifact.precision == "fp16"}
    providers = [(PROVIDER, options), ("CUDAExecutionProvider", {"device_id": index})]
    return onnxruntime.open_session(artifact, threads, device, providers, "onnxruntime_tensorrt")
