"""Which device a training or a runtime gets: what the configuration asks for, held against what is there."""

from __future__ import annotations

from pathlib import Path

from src.common.errors import UserError
from src.config.training import gpus_of

PROCESSOR = Path("/proc/cpuinfo")


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


def check_precision(amp: str, *, gpu: bool) -> None:
    """Refuse a value of `train.amp` that the device would only emulate: slower than float32, and less exact.

    Raises:
        UserError: naming the key, its value and the remedy.
    """
    if gpu:
        import torch

        if amp == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False):
            raise UserError("this GPU has no bfloat16", value=f"train.amp={amp}", remedy="train.amp=fp16")
        return
    if amp == "fp16":
        raise UserError(
            "train.amp=fp16 needs a GPU, and device=auto found none",
            value=f"train.amp={amp}",
            remedy="train.amp=fp32",
        )
    if not _has_bf16():
        raise UserError(
            "this processor has no bfloat16 instructions: training in it would be slower and less exact than fp32",
            value=f"train.amp={amp}",
            remedy="train.amp=fp32",
        )


def _has_bf16() -> bool:
    try:
        flags = PROCESSOR.read_text(encoding="utf-8")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
