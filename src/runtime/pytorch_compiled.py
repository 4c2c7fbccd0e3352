"""PyTorch with `torch.compile`: kernels generated for this network and machine. The first call takes long."""

from __future__ import annotations

import shutil

from src.common.backends import ANY, Engine
from src.common.errors import Unavailable
from src.records.schema import Artifact
from src.runtime import pytorch
from src.runtime.pytorch import TorchSession

ENGINE = Engine(runs={"pytorch": ANY}, packages=(("torch",),))


def check_available() -> None:
    """Raises `Unavailable` where there is no C++ compiler: the kernels for the processor are C++."""
    if not any(shutil.which(name) for name in ("g++", "clang++", "c++")):
        raise Unavailable("torch.compile needs a C++ compiler; install g++, or leave pytorch_compiled out")


def load(artifact: Artifact, threads: int, device: str, trust: bool) -> TorchSession:
    """Load a checkpoint as the eager engine does, and compile it for every batch size that it meets."""
    import torch

    eager = pytorch.load(artifact, threads, device, trust)
    session = TorchSession(torch.compile(eager.module, dynamic=False), eager.device)
    session.name = "pytorch_compiled"
    return session
