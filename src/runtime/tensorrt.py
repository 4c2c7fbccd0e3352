"""TensorRT engines. Buffers live in PyTorch tensors, which spares a second CUDA binding."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np

from src.common.backends import ANY, Engine
from src.common.errors import Unavailable, UserError
from src.records.schema import Artifact
from src.runtime.protocol import Float

ENGINE = Engine(
    runs={"tensorrt": ANY},
    needs={"tensorrt": "tensorrt"},
    install='install the extra "tensorrt" on a machine with an NVIDIA GPU',
    packages=(("tensorrt",), ("torch",)),
    preference=50,
)


def check_available() -> None:
    """Raises `Unavailable` where the library's own libraries or a GPU are missing."""
    if importlib.util.find_spec("tensorrt_libs") is None and importlib.util.find_spec("tensorrt_bindings") is None:
        raise Unavailable("tensorrt is installed without its libraries; install tensorrt-cu12-libs or -cu13-libs")
    import torch

    if not torch.cuda.is_available():
        raise Unavailable("tensorrt needs an NVIDIA GPU and its driver; none is here")


class TensorRtSession:
    """An execution context with its own stream; host to device and back is part of a call."""

    name = "tensorrt"

    def __init__(self, engine: Any, version: str, device: str) -> None:
        import torch

        self._torch = torch
        self._engine = engine
        self._context = engine.create_execution_context()
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        self._input, *self._outputs = sorted(names, key=lambda name: "OUTPUT" in str(engine.get_tensor_mode(name)))
        self._stream = torch.cuda.Stream(device)
        self.version = version
        self.device = device
        self.providers = ["TensorRT"]

    def run(self, x: Float) -> list[Float]:
        """Copy in, run, copy out, wait."""
        torch = self._torch
        with torch.cuda.stream(self._stream):
            source = torch.from_numpy(x).to(self.device, non_blocking=True)
            self._context.set_input_shape(self._input, tuple(x.shape))
            self._context.set_tensor_address(self._input, source.data_ptr())
            targets = [self._target(name) for name in self._outputs]
            self._context.execute_async_v3(self._stream.cuda_stream)
            results = [target.cpu() for target in targets]
        self._stream.synchronize()
        return [np.asarray(item.numpy(), np.float32) for item in results]

    def _target(self, name: str) -> Any:
        """Memory for an output of the input's shape, known to the context."""
        shape = tuple(self._context.get_tensor_shape(name))
        target = self._torch.empty(shape, dtype=self._torch.float32, device=self.device)
        self._context.set_tensor_address(name, target.data_ptr())
        return target


def load(artifact: Artifact, threads: int, device: str, trust: bool) -> TensorRtSession:
    """Read an engine; it runs on the GPU and the TensorRT version that it was built with.

    Raises:
        UserError: the file is damaged, or made elsewhere.
        Unavailable: device is not a GPU.
    """
    import tensorrt as trt

    if not device.startswith("cuda"):
        raise Unavailable("tensorrt runs on a GPU; use device=cuda")
    logger = trt.Logger(trt.Logger.ERROR)
    with open(artifact.path, "rb") as stream:
        engine = trt.Runtime(logger).deserialize_cuda_engine(stream.read())
    if engine is None:
        raise UserError(
            "TensorRT can't load the engine: it is damaged, or was built on another GPU or version",
            value=artifact.path,
            remedy="export it again on this machine",
        )
    return TensorRtSession(engine, trt.__version__, device if ":" in device else f"{device}:0")
