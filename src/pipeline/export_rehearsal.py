"""Rehearses the ONNX export before anything is trained, where it could only refuse hours later.

Which operators a graph has, what its layers are called, and whether its size can be free don't depend on the weights.
So an untrained network is exported: where `export.int8.keep` names layers, where the opset is older than the default
one, where a free size is asked for, and where a rewrite may find nothing to do. Everything else is known to work for
every family, and is left to the export.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from src.common.errors import StageError, Unavailable, UserError
from src.config.schema import AppConfig, ExportConfig
from src.config.unused_keys import FROM_ONNX
from src.export.isolated import export_one
from src.export.onnx_precision import checked, layers
from src.models.base import family
from src.pipeline.context import Inputs


def rehearse_export(cfgs: Sequence[AppConfig], inputs: Inputs) -> None:
    """Refuse what no network of these configurations could be exported with.

    Args:
        cfgs: what is to be trained.
        inputs: their datasets and starting weights.

    Raises:
        UserError: naming the key and the model; for layers, the nearest ones.
    """
    doubtful = [cfg for cfg in cfgs if _names_layers(cfg.export) or _may_be_refused(cfg.export)]
    for cfg in {repr((cfg.model, cfg.imgsz, cfg.export)): cfg for cfg in doubtful}.values():
        _rehearse(cfg, inputs)


def _names_layers(cfg: ExportConfig) -> bool:
    return isinstance(cfg.int8.keep, list) and bool(cfg.int8.keep)


def _may_be_refused(cfg: ExportConfig) -> bool:
    formats = {target.partition("/")[0] for target in cfg.targets} - {"pytorch"}
    graph = bool(formats & set(FROM_ONNX)) and (cfg.opset < ExportConfig.opset or cfg.dynamic == "size")
    return graph or (bool(formats) and bool(cfg.rewrite))


def _rehearse(cfg: AppConfig, inputs: Inputs) -> None:
    with tempfile.TemporaryDirectory() as folder:
        classes, own = inputs.dataset(cfg).class_names, family(cfg.model.family)
        untrained = own.save_untrained(cfg.training, inputs.start(cfg), classes, Path(folder) / "untrained.pt")
        try:
            graph = export_one(untrained, "onnx/fp32", Path(folder), cfg.export)
        except (StageError, Unavailable):
            return  # no fault of these keys: the export of the finalists tells it
        except UserError as error:
            raise UserError(f"model={cfg.model.name}: {error.what}", value=error.value, remedy=error.remedy) from None
        if _names_layers(cfg.export):
            checked(list(cfg.export.int8.keep), layers(Path(graph.path)))
