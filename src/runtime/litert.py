"""LiteRT with its XNNPACK kernels."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import numpy as np

from src.common.backends import ANY, Engine
from src.common.errors import Unavailable, UserError
from src.records.schema import Artifact
from src.runtime.protocol import Float

ENGINE = Engine(
    runs={"litert": ANY},
    needs={"ai_edge_litert": "ai-edge-litert"},
    install='install the extra "litert" (make setup)',
    packages=(("ai-edge-litert",),),
    preference=30,
)


class LiteRtSession:
    """An interpreter behind numpy; quantised inputs and outputs are converted here, so their cost is counted."""

    name = "litert"
    device = "cpu"

    def __init__(self, interpreter: Any, version: str) -> None:
        self._interpreter = interpreter
        self._input = interpreter.get_input_details()[0]
        self._outputs = interpreter.get_output_details()
        self._channels_last = int(self._input["shape"][-1]) == 3
        self.version = version
        nodes = {op["op_name"] for op in interpreter._get_ops_details()}
        self.providers = ["xnnpack"] if "DELEGATE" in nodes else ["reference"]

    def run(self, x: Float) -> list[Float]:
        """Run one batch of the size that the file was made for."""
        if self._channels_last:
            x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
        self._interpreter.set_tensor(self._input["index"], _quantised(x, self._input))
        self._interpreter.invoke()
        return [_real(self._interpreter.get_tensor(item["index"]), item) for item in self._outputs]


def _quantised(x: Float, detail: dict[str, Any]) -> Any:
    if detail["dtype"] == np.float32:
        return x
    scale, zero = detail["quantization"]
    limits = np.iinfo(detail["dtype"])
    return np.clip(np.round(x / scale) + zero, limits.min, limits.max).astype(detail["dtype"])


def _real(y: Any, detail: dict[str, Any]) -> Float:
    scale, zero = detail["quantization"]
    if detail["dtype"] == np.float32 or not scale:
        return np.asarray(y, np.float32)
    return np.asarray((y.astype(np.float32) - zero) * np.float32(scale), np.float32)


def load(artifact: Artifact, threads: int, device: str, trust: bool) -> LiteRtSession:
    """Read the file and allocate its tensors.

    Raises:
        UserError: the file is damaged or no LiteRT file.
        Unavailable: another device than the processor is asked for.
    """
    from ai_edge_litert.interpreter import Interpreter

    if device != "cpu":
        raise Unavailable("litert runs on the processor here; use device=cpu")
    try:
        interpreter = Interpreter(model_path=artifact.path, num_threads=threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise UserError(
            f"LiteRT can't load the file ({str(error).splitlines()[0]})", value=artifact.path, remedy="export it again"
        ) from None
    return LiteRtSession(interpreter, importlib.metadata.version("ai-edge-litert"))
