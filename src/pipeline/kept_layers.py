"""Checks the names of `export.int8.keep` before anything is trained, hours before the export would refuse them.

Layers are called by the graph, whatever its weights: an untrained network is exported, where names are given at all.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from src.common.errors import StageError, Unavailable
from src.config.schema import AppConfig
from src.export.isolated import export_one
from src.export.onnx_precision import checked, layers
from src.models.base import family
from src.pipeline.context import Inputs


def refuse_unknown_layers(cfgs: Sequence[AppConfig], inputs: Inputs) -> None:
    """Refuse names that a network of these configurations does not have.

    Args:
        cfgs: what is to be trained.
        inputs: their datasets and starting weights.

    Raises:
        UserError: naming the layer and the nearest ones.
    """
    named = [cfg for cfg in cfgs if isinstance(cfg.export.int8.keep, list) and cfg.export.int8.keep]
    for cfg in {repr((cfg.model, cfg.imgsz, cfg.export)): cfg for cfg in named}.values():
        with tempfile.TemporaryDirectory() as folder:
            classes, own = inputs.dataset(cfg).class_names, family(cfg.model.family)
            untrained = own.save_untrained(cfg.training, inputs.start(cfg), classes, Path(folder) / "untrained.pt")
            try:
                graph = export_one(untrained, "onnx/fp32", Path(folder), cfg.export)
            except (StageError, Unavailable):
                continue  # no fault of the names: the export of the finalists tells it
            checked(list(cfg.export.int8.keep or []), layers(Path(graph.path)))
