"""ONNX Runtime, on the processor or with CUDA; its other execution providers are engines of their own."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from src.common.backends import ANY, Engine
from src.common.errors import Unavailable, UserError
from src.records.schema import Artifact
from src.runtime.protocol import Float

ENGINE = Engine(
    runs={"onnx": ANY},
    needs={"onnxruntime": "onnxruntime"},
    install="run `make setup`",
    packages=(("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino"),),
    concurrent=True,
    preference=10,
)

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


def check_provider(provider: str, remedy: str) -> None:
    """Raises `Unavailable` where this build of the library lacks an execution provider."""
    import onnxruntime as ort

    if provider not in ort.get_available_providers():
        raise Unavailable(f"this build of ONNX Runtime has no {provider}; {remedy}")


class OrtSession:
    """An inference session, fed and read by name."""

    def __init__(self, session: Any, name: str, version: str, device: str) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name
        self._outputs = [item.name for item in session.get_outputs()]
        self._half = session.get_inputs()[0].type == "tensor(float16)"
        self.name = name
        self.version = version
        self.device = device
        self.providers: list[str] = list(session.get_providers())

    def run(self, x: Float) -> list[Float]:
        """Run one batch; a half-precision input is converted here, so its cost is counted."""
        feed = x.astype(np.float16) if self._half else x
        return [np.asarray(item, np.float32) for item in self._session.run(self._outputs, {self._input: feed})]


def load(artifact: Artifact, threads: int, device: str, trust: bool) -> OrtSession:
    """Open a session on the provider of the device: the processor, or CUDA."""
    return _load(artifact, threads, device, {})


def load_beside_others(artifact: Artifact, threads: int, device: str, trust: bool) -> OrtSession:
    """The same for a process with other work: idle threads sleep.

    As it is, the library's threads spin for tens of ms when they have nothing to do: a call takes twice the processor
    time, and what else wants the cores waits.
    """
    return _load(artifact, threads, device, {"session.intra_op.allow_spinning": "0"})


def _load(artifact: Artifact, threads: int, device: str, entries: Mapping[str, str]) -> OrtSession:
    if not device.startswith("cuda"):
        return open_session(artifact, threads, device, [CPU], "onnxruntime", entries)
    check_provider(CUDA, "install onnxruntime-gpu or use device=cpu")
    index = int(device.partition(":")[2] or 0)
    return open_session(artifact, threads, device, [(CUDA, {"device_id": index})], "onnxruntime", entries)


def open_session(
    artifact: Artifact,
    threads: int,
    device: str,
    providers: list[Any],
    name: str,
    entries: Mapping[str, str] = MappingProxyType({}),
) -> OrtSession:
    """Open a session, and check that the first provider was really taken: a missing library only makes it warn.

    Args:
        artifact: the file.
        threads: of one call.
        device: cpu, cuda or cuda:N.
        providers: execution providers, the wanted one first.
        name: of the engine.
        entries: further settings of the session, as the library names them.

    Raises:
        UserError: the file is damaged or no ONNX file.
        Unavailable: the provider can't be used here.
    """
    import onnxruntime as ort

    fallback = [] if providers == [CPU] else [CPU]
    try:
        session = ort.InferenceSession(
            artifact.path, _options(ort, threads, entries), providers=[*providers, *fallback]
        )
    except Exception as error:
        text = str(error).splitlines()[0]
        raise UserError(
            f"ONNX Runtime can't load the file ({text})", value=artifact.path, remedy="export it again"
        ) from None
    if not session.get_inputs() or not session.get_outputs():
        raise UserError("the ONNX file has no input or no output", value=artifact.path, remedy="export it again")
    wanted = providers[0] if isinstance(providers[0], str) else providers[0][0]
    if wanted not in session.get_providers():
        raise Unavailable(f"ONNX Runtime could not start {wanted}: its libraries are missing or of another version")
    return OrtSession(session, name, ort.__version__, device)


def _options(ort: Any, threads: int, entries: Mapping[str, str]) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    return options
