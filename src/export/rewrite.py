"""Rewrites of a network before it is exported, `export.rewrite`: operators that an engine is slow at become others.

`upsample` is exact: nearest neighbours at twice the size, made of copies, since XNNPACK takes no nearest resizing and
would be interrupted at each. `hardswish` is not: HardSwish in place of SiLU needs no exponential, but its values are
others, up to 0.17 off. The accuracy gate decides about it as about every file; a network that was not trained with it
rarely passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from src.common.errors import UserError
from src.models.base import ExportSource

if TYPE_CHECKING:
    from torch import nn


def rewritten(source: ExportSource, names: Sequence[str]) -> ExportSource:
    """A source whose network is rewritten; its modules are exchanged in place.

    Raises:
        UserError: a rewrite finds nothing to do.
    """
    for name in names:
        what, make = RULES[name]
        if not _exchange(source.module, make):
            raise UserError(
                f"export.rewrite={name} finds no {what} in this network", value=list(names), remedy=f"leave {name} out"
            )
    return replace(source, metadata={**source.metadata, "rewritten": ",".join(names)}) if names else source


def _exchange(module: nn.Module, make: Callable[[Any], Any]) -> int:
    """Put what `make` gives in the place of modules that it takes; returns how many."""
    found = 0
    for parent in list(module.modules()):
        for name, child in list(parent._modules.items()):
            new = make(child) if child is not None else None
            if new is not None:
                _keep_attributes(child, new)
                setattr(parent, name, new)
                found += 1
    return found


def _keep_attributes(old: Any, new: Any) -> None:
    """Ultralytics notes on each layer where its input comes from."""
    for key, value in vars(old).items():
        if not key.startswith("_") and not hasattr(new, key):
            setattr(new, key, value)


def _hardswish(module: Any) -> Any:
    import torch

    return torch.nn.Hardswish() if isinstance(module, torch.nn.SiLU) else None


def _copies(module: Any) -> Any:
    import torch

    twice = isinstance(module, torch.nn.Upsample) and module.mode == "nearest" and module.size is None
    if not twice or module.scale_factor not in (2, 2.0):
        return None

    class Copies(torch.nn.Module):
        """Nearest neighbours at twice the size: each channel four times, dealt out to squares of four."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """[n, c, h, w] to [n, c, 2h, 2w]."""
            n, channels, height, width = x.shape
            four = torch.cat([x.unsqueeze(2)] * 4, dim=2).reshape(n, 4 * channels, height, width)
            return torch.nn.functional.pixel_shuffle(four, 2)

    return Copies()


RULES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "upsample": ("nearest upsampling by two", _copies),
    "hardswish": ("SiLU", _hardswish),
}
