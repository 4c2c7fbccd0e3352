"""Which weights stay as they are, by pattern of their names: for networks of every family."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from src.common.errors import UserError

if TYPE_CHECKING:
    from torch import nn


def matching(names: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """Names that match a shell pattern, or lie below it: `model.22` means the whole layer.

    Raises:
        UserError: a pattern matches nothing.
    """
    names, found = list(names), set()
    for pattern in patterns:
        hits = {n for n in names if fnmatchcase(n, pattern) or fnmatchcase(n, f"{pattern}.*")}
        if not hits:
            raise UserError(
                "train.freeze_names holds a pattern that no weight of the network matches",
                value=pattern,
                remedy=f"names look like {names[0]}, {names[len(names) // 2]} or {names[-1]}; * stands for anything",
            )
        found |= hits
    return [n for n in names if n in found]


def freeze(model: nn.Module, patterns: Iterable[str]) -> list[str]:
    """Freeze the matching parameters; returns the names of the batch norms that are frozen whole."""
    names = set(matching((n for n, _ in model.named_parameters()), patterns))
    for name, parameter in model.named_parameters():
        if name in names:
            parameter.requires_grad = False
    return [name for name, module in model.named_modules() if _is_norm(module) and _all_in(name, module, names)]


def _is_norm(module: Any) -> bool:
    return "BatchNorm" in type(module).__name__


def _all_in(name: str, module: nn.Module, names: set[str]) -> bool:
    own = [f"{name}.{n}" for n, _ in module.named_parameters()]
    return bool(own) and names.issuperset(own)


def unfreeze(model: nn.Module) -> None:
    """Let every weight learn again."""
    for parameter in model.parameters():
        parameter.requires_grad = True
