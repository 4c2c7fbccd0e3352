"""ONNX Runtime."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np

from src.errors import Unavailable, UserError
from src.records import Artifact
from src.runtime.protocol import Float


def check_available() -> None:
    """Raises `Unavailable` where the library is missing."""
    if importlib.util.find_spec("onnxruntime") is None:
        raise Unavailable("onnxruntime is not installed; run `make setup`")


class OrtSession:
    """An inference session, fed and read by name."""

    name = "onnxruntime"

    def __init__(self, session: Any, version: str, device: str) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name
        self._output = [session.get_outputs()[0].name]
        self._half = session.get_inputs()[0].type == "tensor(float16)"
        self.version = version
        self.device = device
        self.providers: list[str] = list(session.get_providers())

    def run(self, x: Float) -> Float:
        """Run one batch; a half-precision input is converted here, so its cost is counted."""
        feed = x.astype(np.float16) if self._half else x
        output = self._session.run(self._output, {self._input: feed})[0]
        return np.asarray(output, np.float32)


def load(artifact: Artifact, threads: int, device: str, trust: bool) -> OrtSession:
    """Open a session on the provider of the device.

    Raises:
        UserError: the file is damaged or no ONNX file.
        Unavailable: a GPU is asked for and this build has no provider for it.
    """
    import onnxruntime as ort

    providers = _providers(device, ort.get_available_providers())
    try:
        session = ort.InferenceSession(artifact.path, _options(ort, threads), providers=providers)
    except Exception as error:
        text = str(error).splitlines()[0]
        raise UserError(f"ONNX Runtime can't load the file ({text})", value=artifact.path, remedy="export it") from None
    return OrtSession(session, ort.__version__, device)


def _options(ort: Any, threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    return options


def _providers(device: str, available: list[str]) -> list[Any]:
    if not device.startswith("cuda"):
        return ["CPUExecutionProvider"]
    if "CUDAExecutionProvider" not in available:
        raise Unavailable("this build of ONNX Runtime has no CUDA provider; install onnxruntime-gpu or use device=cpu")
    index = int(device.partition(":")[2] or 0)
    return [("CUDAExecutionProvider", {"device_id": index}), "CPUExecutionProvider"]
