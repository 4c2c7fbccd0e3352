"""An engine that computes nothing: what a measurement of it shows is the harness's own cost."""

from __future__ import annotations

import numpy as np

from src.common.backends import ANY, Engine
from src.records.model_io import Output
from src.records.schema import Artifact
from src.runtime.protocol import Float

ENGINE = Engine(runs={"*": ANY})


class NullSession:
    """Answers every batch with no detections."""

    name = "null"
    version = "1"
    device = "cpu"

    def __init__(self, output: Output) -> None:
        self.providers = ["null"]
        self._output = output

    def run(self, x: Float) -> list[Float]:
        """One box without a score for each image, laid out as the model's would be."""
        output = self._output
        listed, more = output.layout == "listed", int(output.task in ("segment", "pose", "obb"))
        width = 6 + more if listed else 4 + output.objectness + (output.classes or 1) + more
        return [np.zeros((len(x), width, 1) if output.layout == "columns" else (len(x), 1, width), np.float32)]


def load(artifact: Artifact, threads: int, device: str, trust: bool) -> NullSession:
    """Load nothing."""
    return NullSession(artifact.output or Output())
