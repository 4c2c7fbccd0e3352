"""Quantisation-aware training: 8-bit rounding in the forward pass, so that the weights survive static INT8.

Ultralytics' own support needs NVIDIA's modelopt and exports Q/DQ for TensorRT; this one needs PyTorch alone and leaves
a plain checkpoint, from which the static INT8 exporters of every format (ONNX, OpenVINO, LiteRT) start as always. It
rounds as they do: weights to signed 8 bits per output channel, activations to unsigned 8 bits per tensor, over ranges
taken from a few batches. Folding a batch norm scales a channel and its step alike, so rounding before folding is
rounding after it. `train.qat_scheme` names other rounding, that of PyTorch's own back ends. Gradients pass rounding
unchanged (straight-through estimator; Jacob et al., 2018).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Scheme:
    """How numbers are rounded."""

    levels: int = 255  # steps of an unsigned activation
    per_channel: bool = True  # a scale of weights for each output channel, or one for the layer
    lowest: int = -127  # of a signed weight; the highest is 127


STATIC = Scheme()
# As PyTorch's `get_default_qat_qconfig` rounds for its back ends: x86 and fbgemm leave a bit of the activations free,
# so that sums of products fit 16 bits on processors without VNNI; qnnpack, for ARM, has one scale a layer.
SCHEMES = {
    "static": STATIC,
    "x86": Scheme(levels=127, lowest=-128),
    "fbgemm": Scheme(levels=127, lowest=-128),
    "qnnpack": Scheme(per_channel=False, lowest=-128),
}


def round_weight(weight: Tensor, scheme: Scheme = STATIC) -> Tensor:
    """Weights [out, …] on 8-bit steps; gradients as without rounding."""
    rows = weight.detach().flatten(1 if scheme.per_channel else 0)
    size = (rows.amax(-1) / 127).maximum(rows.amin(-1) / scheme.lowest)
    scale = size.clamp_min(1e-8 / 127).reshape(-1, *[1] * (weight.ndim - 1))
    rounded = (weight / scale).round().clamp(scheme.lowest, 127) * scale
    return weight + (rounded - weight).detach()


def round_activation(x: Tensor, low: float, high: float, levels: int = STATIC.levels) -> Tensor:
    """Activations on the steps of low … high, clipped to it; gradients stop outside the range."""
    scale = max(high - low, 1e-8) / levels
    clipped = x.clamp(low, high)
    rounded = ((clipped - low) / scale).round() * scale + low
    return clipped + (rounded - clipped).detach()


def targets(model: Any) -> Iterator[tuple[str, nn.Conv2d]]:
    """Convolutions that an INT8 file computes in integers: all but the fixed one that turns bins into distances."""
    import torch

    for name, module in model.model.named_modules():
        if isinstance(module, torch.nn.Conv2d) and ".dfl" not in name:
            yield name, module


class Rounding:
    """Hooks that make a network's convolutions compute as an INT8 file would.

    They sit on a network only while they are switched on, so that copies and checkpoints of it are plain.
    """

    def __init__(self, scheme: str = "static") -> None:
        self.scheme = SCHEMES[scheme]
        self.ranges: dict[str, tuple[float, float]] = {}

    def calibrate(self, model: Any, run: Callable[[Any], None]) -> None:
        """Take the range of every convolution's input while `run` feeds batches through the network.

        The range is the mean over calls of the smallest and largest value: one odd batch does not widen it.
        """
        import torch

        seen: dict[str, list[tuple[float, float]]] = {}

        def look(name: str) -> Any:
            def hook(module: Any, inputs: Any) -> None:
                x = inputs[0].detach()
                seen.setdefault(name, []).append((float(x.min()), float(x.max())))

            return hook

        handles = [module.register_forward_pre_hook(look(name)) for name, module in targets(model)]
        training = model.training
        model.eval()
        try:
            with torch.no_grad():
                run(model)
        finally:
            model.train(training)
            for handle in handles:
                handle.remove()
        for name, pairs in seen.items():
            low, high = (sum(v) / len(pairs) for v in zip(*pairs, strict=True))
            self.ranges[name] = min(low, 0.0), max(high, 0.0)  # zero must be a step: padding is exact

    @contextmanager
    def on(self, model: Any) -> Iterator[None]:
        """Round in the forward passes of `model` in this block."""
        changed: list[Any] = [module for name, module in targets(model) if name in self.ranges]
        handles = []
        for name, module in targets(model):
            if name in self.ranges:
                handles.append(module.register_forward_pre_hook(_rounds_input(*self.ranges[name], self.scheme.levels)))
        for module in changed:
            module._conv_forward = _rounds_weight(module._conv_forward, self.scheme)
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            for module in changed:
                del module._conv_forward  # the class's own shows again


def _rounds_input(low: float, high: float, levels: int) -> Any:
    def hook(module: Any, inputs: Any) -> Any:
        return (round_activation(inputs[0], low, high, levels), *inputs[1:])

    return hook


def _rounds_weight(forward: Any, scheme: Scheme) -> Any:
    def rounded(x: Any, weight: Any, bias: Any) -> Any:
        return forward(x, round_weight(weight, scheme), bias)

    return rounded


def freeze_statistics(model: Any) -> None:
    """Batch norms keep their mean and variance from here on; their scale and shift go on learning."""
    import torch

    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eval()
