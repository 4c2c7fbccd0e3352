"""Which image sizes the network of a published configuration can take."""

from __future__ import annotations

import itertools
import math
from typing import Any

from src.common.errors import UserError
from src.models.transformers.published import config_of, parsed

STRIDE, LARGEST = 32, 8192  # px: of every detector here, and the largest image


def check_side(architecture: str, imgsz: int, name: str) -> None:
    """Refuse an image size that the network can't take.

    Args:
        architecture: the text of a published configuration.
        imgsz: side of the input, px, a multiple of 32.
        name: of the model, for the message.

    Raises:
        UserError: with the reason and the nearest sizes that fit.
    """
    kind = parsed(architecture).kind
    config = config_of(parsed(architecture), 1)
    step = math.lcm(STRIDE, _window(config)) if kind == "rf_detr" else STRIDE
    if imgsz % step:
        below = imgsz // step * step
        raise UserError(
            f"{name} cuts its input into windows of {_window(config)} px (patches times windows), so that imgsz must "
            f"be a multiple of {step}",
            value=f"imgsz={imgsz}",
            remedy=" or ".join(f"imgsz={side}" for side in (below, below + step) if side),
        )
    if _cells(kind, config, imgsz) < _wanted(kind, config):
        least = next(
            s for s in itertools.count(step, step) if s > LARGEST or _cells(kind, config, s) >= _wanted(kind, config)
        )
        raise UserError(
            f"{name} picks {config.num_queries} queries among the cells of its maps: the image is too small",
            value=f"imgsz={imgsz}, which has {_cells(kind, config, imgsz)} cells",
            remedy=f"imgsz={least} or more",
        )


def _window(config: Any) -> int:
    """Sides of RF-DETR's input are a multiple of this, px."""
    patch = config.backbone_config.patch_size
    return int(patch if isinstance(patch, int) else patch[0]) * int(config.backbone_config.num_windows)


def _wanted(kind: str, config: Any) -> int:
    """Cells that queries are picked from; DETR and YOLOS learn theirs."""
    return int(config.num_queries) if kind in ("d_fine", "rt_detr_v2", "rf_detr") else 0


def _cells(kind: str, config: Any, side: int) -> int:
    """Cells of all maps."""
    if kind == "rf_detr":
        return int((side * config.backbone_config.num_windows // _window(config)) ** 2)
    if kind in ("d_fine", "rt_detr_v2"):
        return sum(math.ceil(side / stride) ** 2 for stride in config.feat_strides)
    return 0
