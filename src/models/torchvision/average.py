"""The moving average of the weights, which is what is evaluated and kept."""

from __future__ import annotations

import copy
import math
from typing import Any


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

    def update(self, network: Any) -> None:
        """Follow the network after a step."""
        import torch

        self.updates += 1
        decay = self._decay * (1 - math.exp(-self.updates / self._tau)) if self._decay else 0.0
        with torch.no_grad():
            given = network.state_dict()
            for name, value in _once(self.network.state_dict()).items():
                if value.dtype.is_floating_point:
                    value.mul_(decay).add_(given[name].detach(), alpha=1 - decay)
                else:
                    value.copy_(given[name])


def _once(state: dict[str, Any]) -> dict[str, Any]:
    """A state without the second name of a tensor that two modules share: it would be averaged twice a step."""
    first = {(value.data_ptr(), value.numel()): name for name, value in reversed(state.items())}
    return {name: state[name] for name in state if first[state[name].data_ptr(), state[name].numel()] == name}
