"""From frames to detections: the shared detection path with the user's thresholds, classes and suppression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.common.errors import UserError, is_out_of_memory
from src.inference import Detections, Detector, Prepared, Thresholds
from src.inference.tiles import TiledDetector
from src.inference.types import Float
from src.predict.suppress import Kind, agnostic, soft, take
from src.records.schema import Artifact
from src.records.tiling import Tiling
from src.runtime import Session

MOST_CANDIDATES = 1000  # that soft suppression looks at
MOST_OF_TILES = 10_000  # the same of all tiles of a picture together
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Wanted:
    """What the user wants to see."""

    conf: float
    iou: float
    max_det: int
    nms: Kind
    classes: tuple[int, ...] | None  # ids; None = all
    tiling: Tiling | None = None  # None = pictures are looked at whole


class Predictor:
    """A model with what comes after it.

    Args:
        session: a loaded model.
        artifact: what it was loaded from.
        wanted: thresholds, classes and suppression.
    """

    def __init__(self, session: Session, artifact: Artifact, wanted: Wanted) -> None:
        self.wanted = wanted
        own = wanted.nms == "class"
        thresholds = Thresholds(
            conf=wanted.conf,
            iou=wanted.iou if own else 1.0,  # nothing overlaps by more: suppression is done here
            max_det=wanted.max_det if own and wanted.classes is None else MOST_CANDIDATES,
            multi_label=False,
        )
        self._detector = Detector(session, artifact, thresholds)
        self._tiled = self._by_tiles() if wanted.tiling is not None else None
        self.size = self._detector.input.size

    def _by_tiles(self) -> TiledDetector:
        """What is left to suppress afterwards is not cut short by the number that one picture may have."""
        wanted = self.wanted
        assert wanted.tiling is not None
        most = wanted.max_det if wanted.nms == "class" and wanted.classes is None else MOST_OF_TILES
        return TiledDetector(self._detector, wanted.tiling, iou=wanted.iou, max_det=most)

    def prepare(self, image: Image) -> Prepared:
        """Fit a picture uint8 [h, w, 3] in OpenCV's order of colours (BGR) into the input."""
        return self._detector.prepare(image, bgr=True)

    def __call__(self, prepared: Sequence[Prepared], images: Sequence[Image] = ()) -> list[Detections]:
        """Detections of each picture, best score first, in its px.

        Args:
            prepared: the whole pictures.
            images: the same as they are, BGR: tiles are cut of them. Without them none are.
        """
        found = self._detector(prepared)
        if self._tiled is not None and images:
            pairs = zip(images, found, strict=True)
            found = [self._tiled.with_tiles(image, whole, bgr=True) for image, whole in pairs]
        return [self._suppress(item) for item in found]

    def raw(self, x: Float) -> list[Float]:
        """All outputs of the network for inputs [n, 3, h, w], as it gives them."""
        return self._detector.run(x)

    def try_out(self, path: str, *, batch: int = 1, calls: int = 1) -> None:
        """Call the model on blank pictures, before anything depends on it.

        Args:
            path: of its file, which messages name.
            batch: pictures in a call.
            calls: how often; the first ones cost more than the others.

        Raises:
            UserError: it fails, or answers like no detector.
        """
        blank = self.prepare(np.zeros((*self.size, 3), np.uint8))
        try:
            for _ in range(calls):
                self([blank] * batch)
        except UserError:
            raise
        # Engines are foreign code, and each fails in its own way on a file that lies about itself.
        except Exception as error:
            reason = (str(error).strip().splitlines() or [""])[0][:160]
            if is_out_of_memory(error):
                height, width = self.size
                raise UserError(
                    f"{batch} pictures of {width}x{height} px in a call take more memory than there is ({reason})",
                    value=f"batch={batch}",
                    remedy="a smaller batch" if batch > 1 else "a smaller imgsz, or a smaller model",
                ) from None
            raise UserError(
                f"the model does not answer like a detector ({type(error).__name__}: {reason})",
                value=path,
                remedy="export it again, or give another file",
            ) from None

    def _suppress(self, found: Detections) -> Detections:
        wanted = self.wanted
        if wanted.classes is not None:
            found = take(found, np.isin(found.classes, wanted.classes))
        if wanted.nms == "agnostic":
            return agnostic(found, wanted.iou, wanted.max_det)
        if wanted.nms == "soft":
            return soft(found, wanted.conf, wanted.max_det)
        return take(found, np.arange(min(len(found.scores), wanted.max_det)))
