"""PyTorch, eager: the reference engine. The network comes from its family, ready for inference."""

from __future__ import annotations

from typing import Any

import numpy as np

from src.common.backends import ANY, Engine
from src.common.errors import Unavailable
from src.models.base import family
from src.records.schema import Artifact
from src.runtime.protocol import Float

ENGINE = Engine(runs={"pytorch": ANY}, packages=(("torch",),), preference=70)


class TorchSession:
    """A module that takes and gives tensors, behind numpy."""

    name = "pytorch"

    def __init__(self, module: Any, device: str) -> None:
        import torch

        self._torch = torch
        self.module = module
        self.version = str(torch.__version__)
        self.device = device
        self.providers = ["cuda" if device.startswith("cuda") else "cpu"]

    def run(self, x: Float) -> list[Float]:
        """Run one batch; the copy back to the host waits for the device."""
        with self._torch.inference_mode():
            output = self.module(self._torch.from_numpy(x).to(self.device))
        return [np.asarray(item.float().cpu().numpy(), np.float32) for item in tensors(output)]


def tensors(answer: Any) -> list[Any]:
    """All tensors of a module's answer, in order; tuples, lists and dictionaries are opened."""
    if isinstance(answer, dict):
        answer = list(answer.values())
    if isinstance(answer, (tuple, list)):
        return [item for part in answer for item in tensors(part)]
    return [answer] if hasattr(answer, "float") and hasattr(answer, "cpu") else []


def torch_device(device: str) -> str:
    """A device that PyTorch can use here.

    Raises:
        Unavailable: a GPU is asked for and there is none.
    """
    import torch

    if device.startswith("cuda") and not torch.cuda.is_available():
        raise Unavailable("PyTorch sees no CUDA device; use device=cpu")
    return device


def set_threads(threads: int) -> None:
    """Limit PyTorch to `threads` threads."""
    import torch

    torch.set_num_threads(threads)


def load(artifact: Artifact, threads: int, device: str, trust: bool) -> TorchSession:
    """Load a checkpoint at the size of the artifact's input and move it to the device.

    Raises:
        UserError: the file is damaged or of another kind, or needs `trust`.
        Unavailable: there is no such device.
    """
    device = torch_device(device)
    loaded = family(artifact.family).load(artifact.path, imgsz=max(artifact.input_shape[2:]), trust=trust)
    set_threads(threads)
    return TorchSession(loaded.module.to(device), device)
