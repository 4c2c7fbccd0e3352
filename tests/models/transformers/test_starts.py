"""What the library leaves for published weights to fill is filled when a training begins from nothing."""

from __future__ import annotations

from typing import Any

import torch

from src.models.transformers.network import build_network

SIDE, CLASSES = 128, 5


def built(architecture: str) -> Any:
    """An untrained network."""
    torch.manual_seed(0)
    return build_network(architecture, CLASSES, SIDE)


def test_cells_of_rtdetrv2_score_apart_as_soon_as_its_norms_have_seen_images() -> None:
    """With the library's own weights of norms the scores of all cells lie within 0.003 (all tie in half precision)."""
    network = built("rtdetrv2_s").train()
    with torch.no_grad():
        scores = network.raw(torch.rand(2, 3, SIDE, SIDE)).enc_outputs_class
    assert scores.std(dim=1).mean() > 0.1


def test_norms_of_detr_learn_their_statistics() -> None:
    network = built("detr_s").train()
    norms = {n: m for n, m in network.named_modules() if "Norm2d" in type(m).__name__}
    with torch.no_grad():
        network.raw(torch.rand(2, 3, SIDE, SIDE))
    assert len(norms) > 10
    assert all(norm.running_var.std() > 0 for norm in norms.values())
    assert all(norm.weight.requires_grad for norm in norms.values())


def test_queries_of_yolos_begin_apart() -> None:
    """The library's tokens and positions are 0: every query would answer with the same box."""
    network = built("yolos_s").eval()
    with torch.inference_mode():
        boxes = network.raw(torch.rand(1, 3, SIDE, SIDE)).pred_boxes[0]
    assert len(boxes.unique(dim=0)) == len(boxes)
    assert boxes.std(dim=0).min() > 1e-4
