"""An optimizer's groups of parameters as the recipe has them: betas, rates by part, and how a processor steps them."""

from __future__ import annotations

from typing import Any

import torch

# Those that PyTorch can step in one call for a group: a third of the time that it takes tensor by tensor.
IN_ONE_CALL = (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD)


def shape(
    optimizer: Any,
    network: Any,
    betas: tuple[float, float] | None,
    rates: tuple[float, float] | None,
    device: str,
) -> None:
    """Bring an optimizer's groups into the form that the recipe asks for.

    Args:
        optimizer: with Ultralytics' groups.
        network: that it trains.
        betas: of the Adam family; None = as they are.
        rates: of the backbone and of the head, as shares of the rate; None = the same for all.
        device: cpu, or cuda.
    """
    every = [*optimizer.param_groups, optimizer.defaults]
    for group in every:
        if betas is not None:
            group["betas"] = betas
        if device == "cpu" and type(optimizer) in IN_ONE_CALL:
            group |= {"fused": True, "foreach": False}
    if rates is not None:
        optimizer.param_groups[:] = _by_part(network, optimizer.param_groups, *rates)


def _by_part(network: Any, groups: list[Any], backbone: float, head: float) -> list[Any]:
    """Each group in two, with the rate of its part: those of the head first, in the order that they had."""
    network = getattr(network, "student_model", network)
    own = {id(p) for layer in network.model[: len(network.yaml["backbone"])] for p in layer.parameters()}
    parts = {head: False, backbone: True} if head != backbone else {head: None}
    return [
        {
            **group,
            "lr": group["lr"] * share,
            "params": [p for p in group["params"] if part is None or (id(p) in own) is part],
        }
        for share, part in parts.items()
        for group in groups
    ]
