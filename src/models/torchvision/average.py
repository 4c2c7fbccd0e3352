"""The moving average of the weights, which is what is evaluated and kept."""

from __future__ import annotations

import copy
import math
from typing import Any

Pairs = tuple[list[Any], list[Any]]  # tensors of the average, and those that they follow


class Average:
    """An exponential moving average whose decay grows with the steps, as in Ultralytics' trainings.

    Args:
        network: to follow.
        decay: 0 keeps the weights themselves.
        tau: steps until the decay has grown to 63 % of `decay`.
    """

    def __init__(self, network: Any, decay: float, tau: float) -> None:
        self.network = copy.deepcopy(network).eval()
        self.updates = 0
        self._decay, self._tau = decay, tau
        for parameter in self.network.parameters():
            parameter.requires_grad = False
        # Tensors keep their memory for a whole training, so they are paired once: looking 500 up by name costs a step
        # of a small network 3 % of its time.
        self._floats, self._counts = _paired(self.network, network)

    def update(self) -> None:
        """Follow the network after a step."""
        import torch

        self.updates += 1
        decay = self._decay * (1 - math.exp(-self.updates / self._tau)) if self._decay else 0.0
        with torch.no_grad():
            own, given = self._floats
            if decay:
                torch._foreach_mul_(own, decay)
                torch._foreach_add_(own, given, alpha=1 - decay)
            else:
                torch._foreach_copy_(own, given)
            if self._counts[0]:
                torch._foreach_copy_(*self._counts)


def _paired(average: Any, network: Any) -> tuple[Pairs, Pairs]:
    """Tensors of floats and of counts; one that two modules share is there once: it would be averaged twice a step."""
    floats: Pairs = ([], [])
    counts: Pairs = ([], [])
    seen, given = set(), network.state_dict()
    for name, value in average.state_dict().items():
        place = value.data_ptr(), value.numel()
        if place not in seen:
            own, theirs = floats if value.dtype.is_floating_point else counts
            own.append(value)
            theirs.append(given[name])
        seen.add(place)
    return floats, counts
