"""TorchScript files in PyTorch."""

from __future__ import annotations

from src.common.backends import ANY, Engine
from src.common.errors import UserError
from src.records.schema import Artifact
from src.runtime.pytorch import TorchSession, set_threads, torch_device

ENGINE = Engine(runs={"torchscript": ANY}, packages=(("torch",),), preference=40)


def load(artifact: Artifact, threads: int, device: str, trust: bool) -> TorchSession:
    """Load a traced module and freeze it: its weights become constants that the optimiser may fold.

    Raises:
        UserError: the file is damaged or no TorchScript file.
    """
    import torch

    device = torch_device(device)
    set_threads(threads)
    try:
        module = torch.jit.load(artifact.path, map_location=device).eval()
    except (RuntimeError, ValueError) as error:
        text = str(error).strip().splitlines()[0]
        raise UserError(
            f"PyTorch can't load the TorchScript file ({text})", value=artifact.path, remedy="export it again"
        ) from None
    session = TorchSession(module, device)
    session.name = "torchscript"
    return session
