"""What a network costs by its arithmetic: one counter for all families, so that their figures can be compared.

A multiplication with its addition counts as two operations. Convolutions, matrix products and attention are counted, on
one image, in evaluation mode; normalisation, activations and suppression are not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def size_of(network: nn.Module, call: Callable[[Any], Any]) -> tuple[int, float]:
    """Parameters, and GFLOPs.

    Args:
        network: in evaluation mode.
        call: runs it on one image.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with torch.inference_mode(False), torch.no_grad(), counter:
        call(network)
    return sum(p.numel() for p in network.parameters()), counter.get_total_flops() / 1e9
