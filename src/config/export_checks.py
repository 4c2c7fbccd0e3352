"""What of the group `export` makes no sense, alone or together. Values only are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from src.common.errors import UserError
from src.config.ranges import refuse_outside
from src.config.schema import ExportConfig
from src.config.strictness import refuse_twice

OPSETS = (11, 20)  # that PyTorch's tracer writes and this program's engines read
CHANNEL_OPSET = 13  # the first in which a scale may belong to a channel
REWRITES = ("upsample", "hardswish")
AXES = ("none", "batch", "size")
FIXED = ("litert", "savedmodel")  # their converters write every side into the file
MOST_CALIBRATION = 100_000
MOST_KEPT = 1000


def check_export(cfg: ExportConfig, batches: Sequence[int]) -> None:
    """Refuse what can't be exported, or could not be measured afterwards.

    Args:
        cfg: the group.
        batches: `benchmark.batches`, at which the files are to run.

    Raises:
        UserError: naming the key, its value and the remedy.
    """
    _check_onnx(cfg, batches)
    _check_int8(cfg)
    _check_calibration(cfg)


def _check_onnx(cfg: ExportConfig, batches: Sequence[int]) -> None:
    refuse_outside({"export.opset": (cfg.opset, *OPSETS)})
    if cfg.dynamic not in AXES:
        raise UserError("export.dynamic is not known", value=cfg.dynamic, remedy=f"one of: {', '.join(AXES)}")
    for name in cfg.rewrite:
        if name not in REWRITES:
            raise UserError("export.rewrite holds an unknown rewrite", value=name, remedy=f"of: {', '.join(REWRITES)}")
    fixed = [target for target in cfg.targets if target.partition("/")[0] in FIXED]
    if cfg.dynamic == "size" and fixed:
        raise UserError(
            f"export.dynamic=size can't be had in {fixed[0]}, whose files hold every side",
            value=cfg.targets,
            remedy=f"export.dynamic=batch, or leave {fixed[0]} out of export.targets",
        )
    if cfg.dynamic == "none" and 1 not in batches:
        raise UserError(
            "export.dynamic=none fixes the batch at 1, which benchmark.batches leaves out: nothing would be measured",
            value=list(batches),
            remedy="export.dynamic=batch, or benchmark.batches=[1]",
        )


def _check_int8(cfg: ExportConfig) -> None:
    int8 = cfg.int8
    if int8.weights not in ("channel", "tensor"):
        raise UserError("export.int8.weights is not known", value=int8.weights, remedy="one of: channel, tensor")
    static = [target for target in cfg.targets if target.endswith("/int8")]
    if static and int8.weights == "channel" and cfg.opset < CHANNEL_OPSET:
        raise UserError(
            f"a scale for each channel needs ONNX opset {CHANNEL_OPSET} or newer",
            value=f"export.opset={cfg.opset} with {static[0]}",
            remedy=f"export.opset={CHANNEL_OPSET}, or export.int8.weights=tensor",
        )
    listed = isinstance(int8.keep, list) and all(isinstance(name, str) and name for name in int8.keep)
    if not (int8.keep is None or int8.keep == "auto" or listed):
        raise UserError(
            "export.int8.keep is null, auto, or a list of layers by name",
            value=int8.keep,
            remedy="export.int8.keep=auto, or export.int8.keep=[/model.0/conv/Conv]",
        )
    if isinstance(int8.keep, list):
        refuse_twice("export.int8.keep", int8.keep)
    if not 1 <= int8.most_kept <= MOST_KEPT:
        raise UserError(
            f"export.int8.most_kept must be 1 to {MOST_KEPT}", value=int8.most_kept, remedy="export.int8.most_kept=8"
        )


def _check_calibration(cfg: ExportConfig) -> None:
    images, folder = cfg.calibration.images, cfg.calibration.folder
    if images is not None and not 1 <= images <= MOST_CALIBRATION:
        raise UserError(
            f"export.calibration.images must be 1 to {MOST_CALIBRATION}",
            value=images,
            remedy="export.calibration.images=128, or null",
        )
    if folder is not None and not Path(folder).is_dir():
        raise UserError(
            "export.calibration.folder is no folder",
            value=folder,
            remedy="the path of a folder of images, or null for the calibration part of train",
        )
