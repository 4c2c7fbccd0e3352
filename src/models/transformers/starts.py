"""What the library leaves for published weights to fill, given the values that a training from scratch begins with.

Its ports are made for loading weights, and so nobody notices how they begin: batch norms that pass a hundredth of what
they get, norms that never learn, tokens that are all alike. The authors' own code begins as is done here.
"""

from __future__ import annotations

from typing import Any

TOKEN_STD = 0.02  # of learned tokens and positions, as vision transformers begin (Dosovitskiy et al. 2021)


def pass_through_norms(model: Any) -> Any:
    """RT-DETRv2: batch norms begin with the weight 1; the library draws theirs from a normal distribution around 0.

    With those the maps behind the encoder are of the size 1e-4, all cells score the same, and queries are picked by
    chance.
    """
    import torch

    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)
    return model


def learning_norms(model: Any) -> Any:
    """DETR: batch norms of the backbone learn; the library freezes them, whose statistics then are 0 and 1 for ever."""
    import torch

    frozen = [name for name, module in model.named_modules() if type(module).__name__.endswith("FrozenBatchNorm2d")]
    for name in frozen:
        above, _, own = name.rpartition(".")
        channels = model.get_submodule(name).weight.numel()
        setattr(model.get_submodule(above), own, torch.nn.BatchNorm2d(channels))
    return model


def distinct_tokens(model: Any) -> Any:
    """YOLOS: tokens and positions begin at random; the library's are all 0, so that its queries are copies of one."""
    import torch

    embeddings = model.vit.embeddings
    for parameter in (embeddings.cls_token, embeddings.detection_tokens, embeddings.position_embeddings):
        torch.nn.init.trunc_normal_(parameter, std=TOKEN_STD)
    return model
