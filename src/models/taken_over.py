"""What a starting checkpoint gives to a network, in numbers and words: for networks of every family."""

from __future__ import annotations

from dataclasses import dataclass

SHOWN = 6  # layers named in the log


@dataclass(frozen=True)
class Transfer:
    """Which tensors of a network a checkpoint fills."""

    loaded: list[str]
    missing: list[str]  # not in the checkpoint, or of another shape: these start anew

    @property
    def total(self) -> int:
        """Tensors of the network."""
        return len(self.loaded) + len(self.missing)

    def text(self) -> str:
        """One line for the log, naming the layers that start anew."""
        line = f"{len(self.loaded)} of {self.total} tensors are taken over"
        if not self.missing:
            return line
        layers = sorted({".".join(name.split(".")[:3]) for name in self.missing})
        more = f" and {len(layers) - SHOWN} more" if len(layers) > SHOWN else ""
        return f"{line}; these start anew: {', '.join(layers[:SHOWN])}{more}"
