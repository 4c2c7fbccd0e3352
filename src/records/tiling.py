"""How large pictures are cut: what the configuration says, and what a measuring process is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from src.common.errors import UserError

MERGES = ("iou", "smaller")
SMALLEST, LARGEST = 32, 100_000  # px, of a tile
MOST_OVERLAP = 0.9  # of two tiles: beyond it nearly every px is looked at a hundred times


@dataclass(frozen=True)
class Tiling:
    """How pictures are cut."""

    size: int  # side of a tile, px of the picture
    overlap: float = 0.2  # share of a tile that the next one repeats
    merge: str = "iou"  # boxes are one by their overlap as a share of: iou = the union, smaller = the smaller box
    batch: int = 1  # tiles in a call, where the file takes any number


def tiling_of(size: int | None, overlap: float, merge: str, *, batch: int = 1, prefix: str = "") -> Tiling | None:
    """The tiling that the keys `tile`, `overlap` and `merge` ask for; None where pictures are looked at whole.

    Args:
        size: side of a tile, px; None = whole pictures only.
        overlap: share of a tile that the next one repeats.
        merge: what overlap makes two boxes one.
        batch: tiles in a call.
        prefix: of the last two keys, in messages.

    Raises:
        UserError: a value makes no sense; the key is named.
    """
    if size is not None and not SMALLEST <= size <= LARGEST:
        raise UserError(f"tile must be {SMALLEST} to {LARGEST} px", value=size, remedy="tile=640, or leave it out")
    if not 0 <= overlap <= MOST_OVERLAP:
        what = f"{prefix}overlap is the share of a tile that the next one repeats, 0 to {MOST_OVERLAP:g}"
        raise UserError(what, value=overlap, remedy=f"{prefix}overlap=0.2")
    if merge not in MERGES:
        raise UserError(f"{prefix}merge is not known", value=merge, remedy=f"one of: {', '.join(MERGES)}")
    return Tiling(size, overlap, merge, batch) if size is not None else None


def says(tiling: Tiling | None) -> str:
    """A tiling in words; "" of none."""
    if tiling is None:
        return ""
    return f"{tiling.size} px, overlap {tiling.overlap:g}, merged by {tiling.merge}, and the whole picture"


def numbers_of(tiling: Tiling | None) -> dict[str, float]:
    """A tiling as further figures of a measurement; none of none."""
    if tiling is None:
        return {}
    smaller = float(tiling.merge == "smaller")
    return {"tile": float(tiling.size), "tile_overlap": float(tiling.overlap), "tile_smaller": smaller}


def recorded(config: Mapping[str, Any]) -> Tiling | None:
    """The tiling of a trial, by the configuration in its record; None where there was none, as in earlier versions."""
    size = config.get("tile")
    if not isinstance(size, int) or isinstance(size, bool):
        return None
    return Tiling(size, float(config.get("tile_overlap", 0.2)), str(config.get("tile_merge", MERGES[0])))
