"""The optimizer and the rates that a recipe asks for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from src.config.training import Optimizer
from src.models.torchvision.network import ARCHITECTURES, build_network
from src.models.torchvision.outputs import NETWORKS
from src.models.torchvision.recipe import build_optimizer, set_rates
from src.models.transformers.configurations import BUILDERS
from src.models.transformers.network import NETWORKS as QUERIES
from tests.models.torchvision.tiny import build
from tests.models.torchvision.toy import asked


@pytest.mark.parametrize("kind", [k for k in Optimizer if k is not Optimizer.MuSGD])
def test_every_optimizer_takes_a_step(kind: Optimizer) -> None:
    import torch

    layer = torch.nn.Linear(2, 1)
    before = layer.weight.detach().clone()
    optimizer = build_optimizer(layer, replace(asked().train, optimizer=kind), 0.1)
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert not torch.equal(before, layer.weight)


def rates_by_name(network: Any, optimizer: Any) -> dict[str, float]:
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    return {name: rates[id(p)] for name, p in network.named_parameters()}


def test_backbone_and_head_learn_at_their_own_rates() -> None:
    train, network = replace(asked().train, lr_backbone=0.1, lr_head=2.0), build("", 10, 64)
    optimizer = build_optimizer(network, train, 0.01, ("backbone.",))
    set_rates(optimizer.param_groups, train, 0.004, 0.5)
    found = rates_by_name(network, optimizer)
    assert len(found) == 6
    for name, rate in found.items():
        assert rate == pytest.approx(0.5 * 0.004 * (0.1 if name.startswith("backbone.") else 2.0)), name


def test_one_rate_for_all_makes_the_groups_of_earlier_versions() -> None:
    network = build("", 10, 64)
    plain = build_optimizer(network, asked().train, 0.01, ("backbone.",))
    assert [len(g["params"]) for g in plain.param_groups] == [2, 1, 3]
    same = build_optimizer(network, replace(asked().train, lr_backbone=0.5, lr_head=0.5), 0.01, ("backbone.",))
    set_rates(same.param_groups, asked().train, 0.01, 1.0)
    assert set(rates_by_name(network, same).values()) == {0.005}


@pytest.mark.parametrize("architecture", [*ARCHITECTURES, *BUILDERS])
def test_every_network_has_a_backbone_and_a_head(architecture: str) -> None:
    import torch

    own = QUERIES if architecture in BUILDERS else NETWORKS
    if architecture in BUILDERS:
        network = own.build(architecture, 3, 128)
    else:
        with torch.device("meta"):
            network = build_network(architecture, 3, 128)
    inside = {name.startswith(own.backbone) for name, _ in network.named_parameters()}
    assert inside == {True, False}
