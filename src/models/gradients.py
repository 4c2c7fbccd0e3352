"""Whether gradients are in good health: how long they are, and whether they still reach the first layers.

Every step is looked at before it is cut, and an epoch's mean becomes part of its row. What is out of order is said in
words once a training, with what to do about it. Looking changes no number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

NORM, LARGEST, REACH = "grad/norm", "grad/largest", "grad/reach"
CLIP = 10.0  # longer ones are cut to this length
EXPLODES = 100.0  # times the median of the epochs before
VANISHES = 1e-4  # the first quarter's gradient as a share of the last quarter's
NOTHING = 1e-7  # length of a gradient that moves nothing


class Gradients:
    """Collects the gradients of an epoch's steps, on the device that they are on."""

    def __init__(self) -> None:
        self._norms: list[Any] = []  # length of each step's gradient, a number on the device
        self._ends: list[Any] = []  # mean square of the first and of the last quarter, [2]

    def look(self, parameters: Iterable[Any], scale: float = 1.0) -> None:
        """Take note of a step.

        Args:
            parameters: of the network, in the order that an image passes them.
            scale: what mixed precision multiplied the loss by.
        """
        import torch

        grads = [(p.grad, p.ndim) for p in parameters if p.grad is not None]
        if not grads:
            return
        squares = torch.stack(torch._foreach_norm([grad for grad, _ in grads])).double() ** 2 / scale**2
        self._norms.append(squares.sum().sqrt())
        kernels = [i for i, (_, dimensions) in enumerate(grads) if dimensions > 1]
        if len(kernels) > 3:
            quarter = len(kernels) // 4
            means = [
                squares[part].sum() / sum(grads[i][0].numel() for i in part)
                for part in (kernels[:quarter], kernels[-quarter:])
            ]
            self._ends.append(torch.stack(means))

    def row(self) -> dict[str, float]:
        """The epoch's figures; the next epoch begins. Empty where there was no step."""
        import torch

        norms, ends = self._norms, self._ends
        self._norms, self._ends = [], []
        if not norms:
            return {}
        found = torch.stack(norms)
        row = {NORM: float(found.mean()), LARGEST: float(found.max())}
        if ends:
            first, last = torch.stack(ends).mean(0).tolist()
            row[REACH] = math.sqrt(first / last) if last > 0 else 0.0
        return row


def complaints(row: Mapping[str, float], earlier: Sequence[Mapping[str, float]]) -> dict[str, str]:
    """What is wrong with an epoch's gradients, by kind: `explode`, `vanish`. Empty where all is well.

    Args:
        row: the epoch.
        earlier: rows of the epochs before.
    """
    if NORM not in row:
        return {}
    norm, before = row[NORM], [r[NORM] for r in earlier if NORM in r]
    found = {}
    if not math.isfinite(row[LARGEST]):
        found["explode"] = "gradients explode: one of them was not finite"
    elif before and norm > CLIP and norm > EXPLODES * median(before):
        found["explode"] = (
            f"gradients explode: they are {norm:.3g} long on average, {norm / median(before):.0f} times as long as "
            f"before, and every step is cut to {CLIP:g}"
        )
    if norm < NOTHING:
        found["vanish"] = f"gradients vanish: they are {norm:.3g} long, and nothing is learned"
    elif REACH in row and row[REACH] < VANISHES:
        found["vanish"] = f"gradients vanish on their way: the first layers get {row[REACH]:.2g} of what the last get"
    advice = {
        "explode": "try a smaller lr, or train.warmup_epochs=1",
        "vanish": "try pretrained weights (model.weights=PATH), a larger lr, or fewer frozen layers",
    }
    return {kind: f"{what}; {advice[kind]}" for kind, what in found.items()}
