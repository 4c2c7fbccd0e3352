"""What has to be changed in the library's networks so that they can be traced."""

from __future__ import annotations

from typing import Any


def traceable_positions(model: Any) -> Any:
    """RF-DETR, its learned positions not interpolated at their own size."""
    positions = model.model.backbone.backbone.embeddings
    positions.__class__ = _traceable(type(positions))
    return model


def _traceable(positions: Any) -> Any:
    """Learned positions that are not interpolated at their own size, which the library does when it is traced.

    ONNX knows no bicubic interpolation with anti-aliasing, and at the network's own size nothing is to be interpolated.
    """

    class Positions(positions):  # type: ignore[misc, unused-ignore]
        """The library's, for one size."""

        def interpolate_pos_encoding(self, embeddings: Any, height: Any, width: Any) -> Any:
            """As they are where they fit."""
            if height == width and embeddings.shape[1] == self.position_embeddings.shape[1]:
                return self.position_embeddings
            return super().interpolate_pos_encoding(embeddings, height, width)

    return Positions
