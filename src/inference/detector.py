"""A loaded model with all that lies around it: images in, boxes out. Benchmark, prediction and service use this one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from src.common.errors import UserError
from src.inference.decode import decode
from src.inference.preprocess import fit
from src.inference.types import VALIDATION, Detections, Float, LayoutError, Prepared, Thresholds
from src.records.model_io import Input, Output
from src.records.schema import Artifact

AGAIN = "export it again as a detector; names and task must be in the file or beside it"


class Runs(Protocol):
    """The part of a session that is needed here."""

    def run(self, x: Float) -> list[Float]:
        """All outputs of a batch."""
        ...


def spec_of(artifact: Artifact) -> tuple[Input, Output]:
    """What a model file takes and answers with, from its record; where that is silent, as a plain YOLO does."""
    batch, _, height, width = artifact.input_shape
    return (
        artifact.input or Input(height, width, batch=max(batch, 0)),
        artifact.output or Output(classes=len(artifact.names)),
    )


class Detector:
    """Images to boxes.

    Args:
        session: a loaded model.
        artifact: what it was loaded from; messages name its file.
        thresholds: what counts as a detection.
    """

    def __init__(self, session: Runs, artifact: Artifact, thresholds: Thresholds = VALIDATION) -> None:
        self.session = session
        self.input, self.output = spec_of(artifact)
        self.thresholds = thresholds
        self._path = artifact.path
        self._seen = False  # the first call's scores are all looked at, later ones only where they count

    def prepare(self, image: NDArray[np.uint8], *, bgr: bool = False) -> Prepared:
        """Fit an image uint8 [h, w, 3] into the input."""
        return Prepared(*fit(image, self.input, bgr=bgr))

    def run(self, batch: Float) -> list[Float]:
        """All outputs for inputs [n, 3, h, w]; where the file insists on a number of images, it is filled up."""
        wanted = self.input.batch
        if wanted in (0, len(batch)):
            return self.session.run(batch)
        answers = [self._filled(batch[i : i + wanted], wanted) for i in range(0, len(batch), wanted)]
        return [np.concatenate(parts) if len(parts) > 1 else parts[0] for parts in zip(*answers)]

    def _filled(self, batch: Float, wanted: int) -> list[Float]:
        """Outputs for at most `wanted` images."""
        count = len(batch)
        if count < wanted:
            blank = np.zeros((wanted - count, *batch.shape[1:]), np.float32)
            batch = np.concatenate([batch, blank])
        return [item[:count] if len(item) == wanted else item for item in self.session.run(batch)]

    def finish(self, outputs: Sequence[Float], prepared: Sequence[Prepared]) -> list[Detections]:
        """Boxes in each image's own px.

        Raises:
            UserError: the outputs are not what the file declares; it is named.
        """
        try:
            decoded = decode(
                outputs, self.output, self.input.size, self.thresholds, images=len(prepared), every=not self._seen
            )
        except LayoutError as error:
            raise UserError(str(error), value=self._path, remedy=AGAIN) from None
        if len(decoded) != len(prepared):
            text = f"the model answers for {len(decoded)} image(s) where {len(prepared)} were given"
            raise UserError(text, value=self._path, remedy=AGAIN)
        self._seen = True
        return [
            Detections(item.transform.to_image(boxes), scores, classes)
            for (boxes, scores, classes), item in zip(decoded, prepared)
        ]

    def __call__(self, prepared: Sequence[Prepared]) -> list[Detections]:
        """Detections of prepared images, best score first, in px of each image."""
        batch = np.ascontiguousarray(prepared[0].x[None]) if len(prepared) == 1 else np.stack([p.x for p in prepared])
        return self.finish(self.run(batch), prepared)
