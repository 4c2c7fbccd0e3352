"""Which device a training or a runtime gets: what the configuration asks for, held against what is there."""

from __future__ import annotations

from src.common.errors import UserError
from src.config.training import gpus_of


def usable_gpus(device: str) -> list[int]:
    """Indices of the GPUs that `device` (cpu, cuda, cuda:N, cuda:N,M or auto) comes to here; none = the processor.

    Raises:
        UserError: CUDA is asked for and not there.
    """
    if device == "cpu":
        return []
    import torch

    if not torch.cuda.is_available():
        if device == "auto":
            return []
        raise UserError("device asks for CUDA, and no CUDA device is usable here", value=device, remedy="device=cpu")
    gpus = gpus_of(device) or [0]
    have = torch.cuda.device_count()
    if max(gpus) >= have:
        raise UserError(
            f"device names a GPU that is not there (there are {have})", value=device, remedy="device=cuda:0"
        )
    return gpus
