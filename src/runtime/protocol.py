"""What the rest of the program sees of an engine."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]


class Session(Protocol):
    """A loaded model, ready to run."""

    name: str  # of the runtime
    version: str  # of its library
    device: str  # cpu or cuda:N
    providers: list[str]  # what really executes, read back from the engine

    def run(self, x: Float) -> list[Float]:
        """Run a batch float32 [n, 3, h, w] in 0..1; returns all outputs as float32, see `src.inference.decode`."""
        ...
