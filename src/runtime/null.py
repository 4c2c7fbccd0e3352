"""An engine that computes nothing: what a measurement of it shows is the harness's own cost."""

from __future__ import annotations

import numpy as np

from src.common.backends import ANY, Engine
from src.records.schema import Artifact
from src.runtime.protocol import Float

ENGINE = Engine(runs={"*": ANY})


class NullSession:
    """Answers every batch with no detections."""

    name = "null"
    version = "1"
    device = "cpu"

    def __init__(self) -> None:
        self.providers = ["null"]

    def run(self, x: Float) -> list[Float]:
        """An output without any score, as a dense head gives it for one class and one anchor."""
        return [np.zeros((len(x), 5, 1), np.float32)]


def load(artifact: Artifact, threads: int, device: str, trust: bool) -> NullSession:
    """Load nothing."""
    return NullSession()
